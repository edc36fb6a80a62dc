"""The device: opens of its node, and the table that leads every request to its subsystem.

A subsystem gets the `Kernel`, its `Profile` and `Quirks`, offers its ioctls as bound methods, and is
told when files come and go. It reaches handles and events through the `File` of the call.
"""

from collections.abc import Callable, Coroutine, Mapping
from errno import EACCES, EINVAL, EMFILE, ENFILE, ENODEV, ENOMEM, ENOSPC, EOPNOTSUPP
from functools import partial
from types import CoroutineType
from typing import Any, Final, Protocol, TypeVar

from syncline.kms_model import client
from syncline.kms_model.buffers import gem
from syncline.kms_model.buffers.vgem import Vgem
from syncline.kms_model.debugfs import Debugfs, Mishap
from syncline.kms_model.faults import Fault
from syncline.kms_model.fences import sw_sync, sync_file_ioctls
from syncline.kms_model.file import File
from syncline.kms_model.gpu.ioctls import Gpu
from syncline.kms_model.kernel import Kernel
from syncline.kms_model.kms.ioctls import Kms
from syncline.kms_model.profiles import SYNCLINE, Profile
from syncline.kms_model.quirks import UPSTREAM, Quirks
from syncline.kms_model.syncobj import ioctls as syncobj_ioctls
from syncline.kms_model.task import Completion, Pending, Task
from syncline.kms_model.token import Tokens
from syncline.kms_model.trace import TraceEvent
from syncline.kms_model.uapi import (
    DEBUG_NODE,
    CreateDumb,
    DeviceError,
    DropMaster,
    Event,
    Hotplug,
    Request,
    SetClientCap,
    SetMaster,
    Wedged,
)
from syncline.kms_model.user_fence.ioctls import UserFences

R = TypeVar("R")

Handler = Callable[[File, Any], Any]
"""One ioctl: gives the reply, or (for calls that may sleep) a coroutine of it. Raises DeviceError."""


_SPENT: Final = {EMFILE, ENFILE, ENOMEM, ENOSPC}


class Subsystem(Protocol):
    """A part of the device with state of its own."""

    def ioctls(self) -> Mapping[type[Request[Any]], Handler]: ...

    def file_opened(self, file: File) -> None: ...

    def file_closed(self, file: File) -> Coroutine[Any, Any, None] | None:
        """Let go of what the file had; its handles are still there. A coroutine if close(2) sleeps on it."""
        ...


class Device:
    """One modelled GPU and display. Enter through `open`, `call` (or `enter`), `close` and `advance` only."""

    def __init__(
        self,
        profile: Profile = SYNCLINE,
        *,
        quirks: Quirks = UPSTREAM,
        trace: Callable[[TraceEvent], None] | None = None,
        kernel: Kernel | None = None,
        allows_faults: bool = False,
    ) -> None:
        """`allows_faults`: there is a debug node."""
        self.profile = profile
        self.quirks = quirks
        self.kernel = Kernel(trace=trace) if kernel is None else kernel
        self.next_deadline_ns = self.kernel.next_deadline_ns
        """When `advance` is next needed, if ever."""
        self.settle = self.kernel.settle
        """Let kernel workers, and whoever woke up, run until all of them sleep."""
        self.files: list[File] = []
        self.unplugged = False
        self.kms = Kms(self.kernel, profile, quirks)
        self.gpu = Gpu(self.kernel, profile, quirks)
        self.user_fences = UserFences(self.kernel, profile)
        self._subsystems: tuple[Subsystem, ...] = (
            client.Masters(self.kms.master_dropped),
            self.kms,
            self.gpu,
            Vgem(self.kernel, profile),
            self.user_fences,
            Tokens(self.kernel),
        )
        self._debugfs = Debugfs(self.kernel, self._mishaps())
        card = self._table()
        render = {**card, **dict.fromkeys(self._card_only(), _refuse_render)}
        self._ioctls: dict[str, Mapping[type[Request[Any]], Handler]] = {
            node: {"card": card, "render": render}[node] for node in profile.nodes
        }
        if allows_faults:
            self._ioctls[DEBUG_NODE] = self._debugfs.ioctls()

    def open(self, node: str = "card") -> File:
        """Open the node. The first open of a card becomes master. ENODEV: unplugged, or there is no such node."""
        if self.unplugged or node not in self._ioctls:
            raise DeviceError(ENODEV, f"no {node} node")
        file = File(self.kernel, self.profile, self.quirks, node)
        self.files.append(file)
        for subsystem in self._subsystems:
            subsystem.file_opened(file)
        return file

    def call(self, file: File, request: Request[R], now_ns: int) -> Pending[R]:
        """Do one ioctl at `now_ns`. Done on return unless it sleeps."""
        pending = self.enter(file, request, now_ns)
        self.settle()
        return pending

    def enter(self, file: File, request: Request[R], now_ns: int) -> Pending[R]:
        """The part of `call` that the caller waits for. What workers do next is left to `settle`, before anything else."""
        kernel = self.kernel
        if now_ns > kernel.now_ns:
            kernel.advance(now_ns)
        observer = kernel.observer
        if observer is not None:
            observer.call_begins(file, file.label, type(request).__name__)
        pending: Pending[R]
        try:
            assert not file.closed, "an ioctl on a closed file"
            if kernel.faults.armed:
                kernel.faults.refuse(type(request).__name__, file)
            reply = self._ioctls[file.node].get(type(request), _refuse_unknown)(file, request)
        except DeviceError as error:
            pending = Pending.failed(error)
        except OSError as error:
            pending = Pending.failed(_spent(error))
        else:
            pending = self._start(file, reply) if type(reply) is CoroutineType else Pending.succeeded(reply)
        finally:
            if observer is not None:
                observer.call_ends()
        kernel.settle(tasks=False)
        return pending

    def close(self, file: File, now_ns: int, *, interrupt: bool = True) -> Pending[None]:
        """Close the file and let go of everything it had; may sleep, as in KMS.

        Calls under way hold the file: they end as by a signal (their process died), or, without
        `interrupt`, close(2) is over at once and the release waits for them.
        """
        self.kernel.advance(now_ns)
        assert not file.closed, "closed twice"
        file.closed = True
        if interrupt:
            for call in tuple(file.calls):
                call.interrupt()
        task: Task[None] = Task(kernel=self.kernel, coroutine=self._release(file))
        task.step()
        self.kernel.settle()
        return task

    def unplug(self) -> None:
        """The hardware is gone: every later call is ENODEV, and nobody waits for a user fence (hot-unplug)."""
        self.unplugged = True
        for node in self.profile.nodes:
            self._ioctls[node] = dict.fromkeys(self._ioctls[node], _refuse_unplugged)
        self.user_fences.unplug()
        self._tell(Hotplug())
        self.kernel.settle()

    def inject(self, fault: Fault) -> None:
        """Let something go wrong, now or on its occasion. EINVAL: there is no such output."""
        self._debugfs.inject(fault)
        self.kernel.settle()

    @property
    def now_ns(self) -> int:
        return self.kernel.now_ns

    def advance(self, now_ns: int) -> None:
        """Move the machine's clock to `now_ns`, running everything due on the way."""
        self.kernel.advance(now_ns)

    def collect(self, now_ns: int) -> None:
        """Drop what nobody outside holds a descriptor of any more."""
        self.kernel.advance(now_ns)
        self.kernel.descriptors.collect()
        self.kernel.settle()

    def _mishaps(self) -> Mapping[str, Mishap]:
        display = self.kms.display

        def plug(name: str, *, connected: bool) -> None:
            display.connector(name).connected = connected
            self._tell(Hotplug())

        def reset(_: str) -> None:
            self.gpu.reset()
            self._tell(Wedged())

        return {
            "gpu-reset": Mishap(reset),
            "unplug": Mishap(lambda _: self.unplug()),
            "output-removed": Mishap(partial(plug, connected=False), display.connector),
            "output-added": Mishap(partial(plug, connected=True), display.connector),
        }

    def _tell(self, uevent: Event) -> None:
        for file in self.files:
            if file.is_master:
                file.tell(uevent)

    def _start(self, file: File, coroutine: Coroutine[Any, Any, R]) -> Task[R]:
        """Run the call's coroutine to its first sleep; the file remembers it until it is done."""
        task: Task[R] = _Call(kernel=self.kernel, coroutine=coroutine)
        task.step()
        if not task.done:
            file.calls.add(task)
            task.add_done_callback(file.calls.discard)
        return task

    async def _release(self, file: File) -> None:
        while file.calls:
            ended = Completion()
            next(iter(file.calls)).add_done_callback(ended.complete)
            await self.kernel.wait(ended, interruptible=False)
        for subsystem in self._subsystems:
            sleeping = subsystem.file_closed(file)
            if sleeping is not None:
                await sleeping
        file.syncobjs.clear()
        file.gems.clear()
        file.gem_handles.clear()
        self.files.remove(file)

    def _table(self) -> dict[type[Request[Any]], Handler]:
        table: dict[type[Request[Any]], Handler] = {}
        for part in (client.IOCTLS, gem.IOCTLS, sync_file_ioctls.IOCTLS, sw_sync.IOCTLS):
            table.update(part)
        for has, part in (
            (self.profile.syncobj, syncobj_ioctls.BINARY_IOCTLS),
            (self.profile.syncobj_timeline, syncobj_ioctls.TIMELINE_IOCTLS),
        ):
            table.update(part if has else dict.fromkeys(part, _refuse_unsupported))
        for subsystem in self._subsystems:
            table.update(subsystem.ioctls())
        return table

    def _card_only(self) -> set[type[Request[Any]]]:
        return {SetClientCap, SetMaster, DropMaster, CreateDumb, *self.kms.ioctls()}


class _Call(Task[R]):
    """An ioctl that may sleep."""

    def _refusal(self, error: OSError) -> DeviceError:
        return _spent(error)


def _spent(error: OSError) -> DeviceError:
    """What the machine's own process has run out of, as the errno of the call. Anything else is a fault of ours."""
    if error.errno not in _SPENT:
        raise error
    return DeviceError(error.errno, f"the machine's own process: {error.strerror}")


def _refuse_render(_file: File, _request: object) -> None:
    raise DeviceError(EACCES, "not on a render node")


def _refuse_unknown(_file: File, _request: object) -> None:
    raise DeviceError(EINVAL, "another driver's ioctl")


def _refuse_unsupported(_file: File, _request: object) -> None:
    raise DeviceError(EOPNOTSUPP, "the device lacks the capability")


def _refuse_unplugged(_file: File, _request: object) -> None:
    raise DeviceError(ENODEV, "unplugged")
