"""The MODE_ATOMIC ioctl: argument checks, and the parse that is replayed after a back-off (kernel.md 3.1)."""

from errno import EACCES, EINVAL, EOPNOTSUPP
from typing import Final

from syncline.kms_model.file import File
from syncline.kms_model.kms.check import check
from syncline.kms_model.kms.commit import commit
from syncline.kms_model.kms.display import Display
from syncline.kms_model.kms.flips import tell_end
from syncline.kms_model.kms.lock import AcquireContext, Deadlock
from syncline.kms_model.kms.parse import Parser
from syncline.kms_model.kms.pending import NotYet, give_way, park
from syncline.kms_model.kms.signalling import Signalling
from syncline.kms_model.kms.state import AtomicState
from syncline.kms_model.kms.user_points import Mixed
from syncline.kms_model.task import ERESTARTSYS, Interrupted
from syncline.kms_model.uapi import AtomicFlag, AtomicReply, ClientCap, DeviceError, ModeAtomic

_EVENT: Final = int(AtomicFlag.PAGE_FLIP_EVENT)
_ASYNC: Final = int(AtomicFlag.PAGE_FLIP_ASYNC)
_TEST_ONLY: Final = int(AtomicFlag.TEST_ONLY)
_NONBLOCK: Final = int(AtomicFlag.NONBLOCK)
_ALLOW_MODESET: Final = int(AtomicFlag.ALLOW_MODESET)
_OVERRIDE: Final = int(AtomicFlag.OVERRIDE)
_UNKNOWN: Final = ~(_EVENT | _ASYNC | _TEST_ONLY | _NONBLOCK | _ALLOW_MODESET | _OVERRIDE)


def check_permission(file: File, *, master: bool) -> None:
    """EACCES on render nodes and, for calls that change the screen, without mastership; then EOPNOTSUPP."""
    if file.node == "render" or (master and not file.is_master):
        raise DeviceError(EACCES, "mode setting is for the DRM master")
    if not file.profile.crtcs:
        raise DeviceError(EOPNOTSUPP, "no mode setting")


def check_arguments(file: File, request: ModeAtomic) -> None:
    check_permission(file, master=True)
    flags = request.flags
    if not file.has_cap(ClientCap.ATOMIC):
        raise DeviceError(EINVAL, "the client did not set the ATOMIC capability")
    if flags & _UNKNOWN:
        raise DeviceError(EINVAL, "unknown flags")
    if request.timeout_ns < 0:
        raise DeviceError(EINVAL, "a timeout before the clock began")
    if flags & _OVERRIDE and not file.profile.user_commits:
        raise DeviceError(EINVAL, "no user fences in commits")
    if request.reserved:
        raise DeviceError(EINVAL, "reserved is not zero")
    if flags & _ASYNC and not file.profile.async_flips:
        raise DeviceError(EINVAL, "no asynchronous flips")
    if flags & _TEST_ONLY and flags & _EVENT:
        raise DeviceError(EINVAL, "a test sends no event")


async def atomic(display: Display, file: File, request: ModeAtomic) -> AtomicReply:
    """Sleeps for locks, and as a blocking commit does. A failure says which pointers got their -1."""
    check_arguments(file, request)
    observer = display.kernel.observer
    if observer is not None and request.flags & (_NONBLOCK | _TEST_ONLY):
        observer.must_not_wait()
    context = display.acquire_context(interruptible=True)
    allow_modeset = bool(request.flags & _ALLOW_MODESET)
    state = display.begin_state(context, allow_modeset=allow_modeset, file=file)
    state.override = bool(request.flags & _OVERRIDE)
    call = _Call(display, file, request, context, state)
    try:
        reply = await call.run()
    except Interrupted:
        raise call.failed(DeviceError(ERESTARTSYS, "interrupted by a signal")) from None
    except DeviceError as error:
        raise call.failed(error) from None
    else:
        if observer is not None:
            observer.commit_returns(0, call.written, reply.out_fences)
        return reply
    finally:
        context.release()


class _Call:
    def __init__(
        self, display: Display, file: File, request: ModeAtomic, context: AcquireContext, state: AtomicState
    ) -> None:
        self._display = display
        self._file = file
        self._request = request
        self._context = context
        self._state = state
        self._written: list[int] = []

    async def run(self) -> AtomicReply:
        while True:
            is_async = bool(self._request.flags & _ASYNC)
            self._parser = Parser(self._display, self._file, self._state, async_flip=is_async)
            self._signalling = Signalling(self._display, self._state)
            try:
                await self._attempt()
            except Deadlock as deadlock:
                self._start_over()
                await self._context.back_off(deadlock.contended)
            except NotYet as user_space:
                self._start_over()
                self._context.release()
                await user_space.sleep(self._display, self._file.label, self._request.timeout_ns or None)
                check_permission(self._file, master=True)
            else:
                return self._signalling.install(self._parser.written)

    def _start_over(self) -> None:
        self._signalling.cancel()
        self._written += self._parser.written
        self._state.clear()

    async def _attempt(self) -> None:
        flags = self._request.flags
        for object_id, prop_id, value in self._request.props:
            await self._parser.set(object_id, prop_id, value)
        for crtc_state in self._state.crtcs.values():
            crtc_state.async_flip = self._parser.async_flip
        if flags & _TEST_ONLY:
            await self._check()
            self._display.states.remove(self._state)
            return
        want_event = bool(flags & _EVENT)
        self._signalling.prepare(self._file, want_event=want_event, user_data=self._request.user_data)
        await self._check()
        await self._commit(nonblock=bool(flags & _NONBLOCK))

    async def _check(self) -> None:
        await check(self._display, self._state)
        if self._request.timeout_ns and not self._state.user_points:
            raise DeviceError(EINVAL, "a timeout, but no user fence to wait for")

    async def _commit(self, *, nonblock: bool) -> None:
        display, state = self._display, self._state
        if display.parked:
            give_way(display, state, nonblock=nonblock)
        points = state.user_points
        if points:
            if nonblock:
                await park(display, self._file, state, timeout_ns=self._request.timeout_ns)
                return
            if not all(point.reached for point in points):
                raise NotYet(points=points)
        await commit(display, state, nonblock=nonblock)
        if not nonblock:
            tell_end(display, state)

    def failed(self, error: DeviceError) -> DeviceError:
        """Undo what was done, and say which pointers got their -1."""
        self._signalling.cancel()
        if self._state in self._display.states:
            self._display.states.remove(self._state)
        writes = tuple((pointer, -1) for pointer in self.written)
        observer = self._display.kernel.observer
        if observer is not None:
            if isinstance(error, Mixed):
                observer.commit_refused(error.why)
            observer.commit_returns(error.errno, self.written, writes)
        return DeviceError(error.errno, error.why, writes)

    @property
    def written(self) -> tuple[int, ...]:
        """Pointers that -1 was written through."""
        return tuple(dict.fromkeys((*self._written, *self._parser.written)))
