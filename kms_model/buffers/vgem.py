"""vgem fences: bounded test fences on a buffer, which expire by themselves (vgem_fence.c; kernel.md 2.4)."""

from collections.abc import Callable, Coroutine, Mapping
from errno import EBUSY, EINVAL, ENOENT, ETIMEDOUT
from typing import Any, Final

from syncline.kms_model.accesses import Reservation
from syncline.kms_model.buffers.resv import Usage, usage_for
from syncline.kms_model.deadlines import Deadline
from syncline.kms_model.fences.fence import Fence
from syncline.kms_model.file import File
from syncline.kms_model.kernel import Kernel
from syncline.kms_model.observer import Exporter
from syncline.kms_model.profiles import Profile
from syncline.kms_model.trace import FenceSignalled
from syncline.kms_model.uapi import (
    DeviceError,
    Request,
    VgemFenceAttach,
    VgemFenceAttachReply,
    VgemFenceSignal,
    VgemFlag,
)

EXPIRY_NS: Final = 10_000_000_000
EXPORTER: Final = Exporter(name="vgem", bound_ns=EXPIRY_NS)
_FLAGS: Final = int(VgemFlag.WRITE)


class VgemFence(Fence):
    """Signals when told to, or 10 s after it was made."""

    __slots__ = ("_kernel", "_timer")

    detaches = False

    def __init__(self, kernel: Kernel) -> None:
        super().__init__(kernel.new_context(), 1, "vgem", "unbound")
        self._kernel = kernel
        self._timer: Deadline = kernel.call_at(kernel.now_ns + EXPIRY_NS, self.end)

    def end(self) -> None:
        if self.signalled:
            return
        self._timer.cancel()
        now_ns = self._kernel.now_ns
        self.signal(now_ns)
        self._kernel.report(FenceSignalled(now_ns, self.context, self.seqno, self.driver, self.timeline))


class Vgem:
    """The fences of each file by number. Numbers are not reused."""

    def __init__(self, kernel: Kernel, profile: Profile) -> None:
        self._kernel = kernel
        self._present = profile.vgem
        self._fences: dict[File, list[VgemFence | None]] = {}

    def ioctls(self) -> Mapping[type[Request[Any]], Callable[[File, Any], Any]]:
        return {VgemFenceAttach: self.attach, VgemFenceSignal: self.signal} if self._present else {}

    def file_opened(self, file: File) -> None:
        self._fences[file] = []

    def file_closed(self, file: File) -> Coroutine[Any, Any, None] | None:
        for fence in self._fences.pop(file):
            if fence is not None:
                fence.end()
        return None

    def attach(self, file: File, request: VgemFenceAttach) -> VgemFenceAttachReply:
        """EINVAL: flags, pad. ENOENT: handle. EBUSY: a conflicting fence is pending."""
        if request.flags & ~_FLAGS or request.pad:
            raise DeviceError(EINVAL, "flags or pad")
        gem = file.gems.get(request.handle)
        if gem is None:
            raise DeviceError(ENOENT, "no such buffer")
        write = bool(request.flags)
        if not gem.resv.signalled(usage_for(write=write)):
            raise DeviceError(EBUSY, "a conflicting fence is pending")
        fence = VgemFence(self._kernel)
        if self._kernel.observer is not None:
            self._kernel.observer.exported(fence, EXPORTER)
        usage = Usage.WRITE if write else Usage.READ
        gem.resv.add(fence, usage)
        if self._kernel.accesses is not None:
            self._kernel.accesses.fence_made(fence, Reservation(gem.resv, usage))
        fences = self._fences[file]
        fences.append(fence)
        return VgemFenceAttachReply(len(fences))

    def signal(self, file: File, request: VgemFenceSignal) -> None:
        """EINVAL: flags. ENOENT: unknown, or signalled by this call before. ETIMEDOUT: it had expired."""
        if request.flags:
            raise DeviceError(EINVAL, "flags")
        fences = self._fences[file]
        at = request.fence - 1
        fence = fences[at] if 0 <= at < len(fences) else None
        if fence is None:
            raise DeviceError(ENOENT, "no such fence")
        fences[at] = None
        if fence.signalled:
            raise DeviceError(ETIMEDOUT, "it had expired")
        if self._kernel.accesses is not None:
            self._kernel.accesses.fence_signalled(file, (fence,), "VGEM_FENCE_SIGNAL")
        fence.end()
