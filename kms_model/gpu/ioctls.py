"""The submit ioctl: everything is looked up and checked first, then armed, published and queued."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from errno import E2BIG, EACCES, EAGAIN, ECANCELED, EINVAL, ENOENT
from typing import Any, Final

import msgspec

from syncline.kms_model.accesses import Access, Carrier, Reservation, Submission, Wait
from syncline.kms_model.buffers.buffer import GemObject
from syncline.kms_model.buffers.resv import Usage, usage_for
from syncline.kms_model.fences.fence import Fence
from syncline.kms_model.fences.sync_file import SyncFile, fence_of, publish_fence
from syncline.kms_model.file import File
from syncline.kms_model.gpu.job import MAX_QUEUED, Entity, Job
from syncline.kms_model.gpu.picture import Picture, Pixels
from syncline.kms_model.gpu.scheduler import Scheduler
from syncline.kms_model.gpu.user_wait import UserWait
from syncline.kms_model.kernel import Kernel
from syncline.kms_model.observer import AwaitedPoint
from syncline.kms_model.profiles import Profile
from syncline.kms_model.quirks import Quirks
from syncline.kms_model.syncobj.syncobj import Syncobj
from syncline.kms_model.uapi import (
    Blit,
    Command,
    DeviceError,
    Fd,
    Fill,
    Gradient,
    Point,
    Priority,
    Rect,
    Request,
    Submit,
    SubmitReply,
    Tag,
    Text,
)
from syncline.kms_model.user_fence.user_fence import UserSyncobj

Handler = Callable[[File, Any], Any]

MAX_RECTS: Final = 512
"""Commands and clip rectangles in one list. Each costs about 2 us in every band: more could delay a vblank."""
MAX_TEXT: Final = 512
_FAR: Final = 1 << 20  # coordinates and sizes; far beyond any buffer, and products stay in 64 bits
_MAX_SIDE: Final = 1 << 15


class _Checked(msgspec.Struct, frozen=True):
    """A submit whose every argument is good."""

    entity: Entity
    target: Pixels
    sources: Mapping[int, Pixels]
    buffers: Sequence[tuple[GemObject, bool]]
    """Each buffer of the job once, and whether it is written."""
    outs: tuple[tuple[Syncobj, int], ...]
    waits: tuple[Fence, ...]
    user_waits: tuple[UserWait, ...]


class Gpu:
    """The render engine as a subsystem of the device."""

    def __init__(self, kernel: Kernel, profile: Profile, _quirks: Quirks) -> None:
        self.scheduler = Scheduler(kernel)
        self._kernel = kernel
        self._profile = profile
        self._entities: dict[File, dict[tuple[Priority, bool], Entity]] = {}

    def ioctls(self) -> Mapping[type[Request[Any]], Handler]:
        return {Submit: self.submit} if self._profile.gpu else {}

    def file_opened(self, file: File) -> None:
        self._entities[file] = {}

    def file_closed(self, file: File) -> None:
        for entity in self._entities.pop(file).values():
            self.scheduler.kill(entity)

    def reset(self) -> None:
        """The engine hung, or was made to, and begins anew."""
        self.scheduler.reset([entity for mine in self._entities.values() for entity in mine.values()])

    def submit(self, file: File, request: Submit) -> SubmitReply:
        """Check in the order of virtio-gpu's execbuffer (kernel.md 2.11), then queue. Never sleeps."""
        checked = self._check(file, request)
        entity = checked.entity
        slow = self._kernel.faults.strikes("slow-job")
        duration_ns = request.duration_ns + (slow.extra_ns if slow is not None else 0)
        job = entity.arm(
            Picture(checked.target, request.commands, checked.sources, duration_ns), request.label
        )
        job.depend_on(checked.waits)
        job.need(checked.user_waits)
        for gem, write in checked.buffers:
            usage = usage_for(write=write) if request.implicit else Usage.KERNEL
            job.depend_on(gem.resv.pending(usage))
        job.tell_needs(entity.queue[-1] if entity.queue else None)
        if self._kernel.observer is not None:
            self._kernel.observer.job_points(
                [_awaited(file, point) for point in (*request.in_points, *request.user_in_points)],
                [syncobj.awaited(point) for syncobj, point in checked.outs],
            )
        out_fence = self._out_fence(file, job) if request.out_fence else Fd(-1)
        if self._kernel.accesses is not None:
            self._kernel.accesses.submitted(file, _submission(file, request, checked, job))
            if out_fence != -1:
                self._kernel.accesses.given(file, out_fence, ())
        _publish(self._kernel, job, checked, implicit=request.implicit)
        self.scheduler.push(entity, job)
        return SubmitReply(job.finished.seqno, out_fence)

    def _out_fence(self, file: File, job: Job) -> Fd:
        try:
            return publish_fence(self._kernel.descriptors, job.finished, file.budget)
        except OSError as error:  # -EMFILE, before anything has changed
            raise DeviceError(error.errno or EINVAL, "no descriptor for the out-fence") from error

    def _check(self, file: File, request: Submit) -> _Checked:
        priority = _check_priority(file, request)
        if _rects_in(request.commands) > MAX_RECTS:
            raise DeviceError(E2BIG, f"more than {MAX_RECTS} commands and clip rectangles")
        target = Pixels(_gem(file, request.target), *request.target_size, request.pitch)
        sources = {
            place: Pixels(_gem(file, blit.source), *blit.source_size, blit.pitch, blit.offset)
            for place, blit in enumerate(request.commands)
            if isinstance(blit, Blit)
        }
        for pixels in (target, *sources.values()):
            if not pixels.fits() or max(pixels.width, pixels.height) > _MAX_SIDE:
                raise DeviceError(EINVAL, "an image that is not inside its buffer")
        for command in request.commands:
            _check_command(command)
        outs = tuple((_out_syncobj(file, point), point.point) for point in request.out_points)
        waits = tuple(_in_fences(file, request))
        user_waits = tuple(_user_wait(file, point) for point in request.user_in_points)
        if user_waits:
            _check_user_job(request, outs)
        entity = self._entity(file, priority, for_user=bool(user_waits))
        return _Checked(entity, target, sources, _buffers(target, sources), outs, waits, user_waits)

    def _entity(self, file: File, priority: Priority, *, for_user: bool) -> Entity:
        """User jobs have a queue of their own: a dma_fence must not come to depend on them by its place (K1)."""
        entities = self._entities[file]
        if (priority, for_user) not in entities:
            entities[priority, for_user] = Entity(self._kernel, priority)
        entity = entities[priority, for_user]
        if entity.guilty:
            raise DeviceError(ECANCELED, "an earlier job of this context hung")
        if len(entity.queue) >= MAX_QUEUED:
            raise DeviceError(EAGAIN, f"{MAX_QUEUED} jobs are queued")
        return entity


def _check_priority(file: File, request: Submit) -> Priority:
    if request.duration_ns < 0:
        raise DeviceError(EINVAL, "negative duration")
    try:
        priority = Priority(request.priority)
    except ValueError:
        raise DeviceError(EINVAL, f"no priority {request.priority}") from None
    if priority is Priority.HIGH and not file.is_master:
        raise DeviceError(EACCES, "high priority is for the DRM master")
    return priority


def _rects_in(commands: Sequence[Command]) -> int:
    rects = len(commands)
    for command in commands:
        if isinstance(command, Blit):
            rects += len(command.clip)
    return rects


def _gem(file: File, handle: int) -> GemObject:
    gem = file.gems.get(handle)
    if gem is None:
        raise DeviceError(ENOENT, f"no buffer {handle}")
    return gem


def _check_command(command: Command) -> None:
    good = False
    match command:
        case Fill(rect=rect, color=color):
            good = _is_near(rect) and _is_color(color)
        case Gradient(rect=rect, top=top, bottom=bottom):
            good = _is_near(rect) and _is_color(top) and _is_color(bottom)
        case Text(x=x, y=y, text=text, color=color, scale=scale):
            good = _is_near((x, y, 0, 0)) and _is_color(color) and len(text) <= MAX_TEXT and 1 <= scale <= 64
        case Tag(x=x, y=y):
            good = _is_near((x, y, 0, 0))
        case Blit():
            good = _is_blit(command)
    if not good:
        raise DeviceError(EINVAL, f"{type(command).__name__} out of range")


def _is_near(rect: Rect) -> bool:
    return min(rect) >= -_FAR and max(rect) <= _FAR


def _is_color(color: int) -> bool:
    return 0 <= color < 1 << 32


def _is_blit(blit: Blit) -> bool:
    """The source rectangle lies inside the upright source, and neither rectangle is empty."""
    width, height = blit.source_size if blit.transform % 2 == 0 else blit.source_size[::-1]
    x, y, w, h = blit.src
    inside = x >= 0 and y >= 0 and 0 < w <= (width << 8) - x and 0 < h <= (height << 8) - y
    target = _is_near(blit.dst) and min(blit.dst[2:]) > 0 and all(map(_is_near, blit.clip))
    return inside and target and 0 <= blit.transform < 8


def _out_syncobj(file: File, point: Point) -> Syncobj:
    syncobj = file.syncobjs.get(point.handle)
    if syncobj is None:
        raise DeviceError(EINVAL, f"no syncobj {point.handle}")
    syncobj.check_put(point.point)
    return syncobj


def _in_fences(file: File, request: Submit) -> Iterator[Fence]:
    for point in request.in_points:
        syncobj = file.syncobjs.get(point.handle)
        if syncobj is None:
            raise DeviceError(ENOENT, f"no syncobj {point.handle}")
        fence = syncobj.find(point.point)
        if fence is None:
            raise DeviceError(EINVAL, f"point {point.point} has no fence yet")
        yield fence
    if request.in_fence != -1:
        fence = fence_of(file.kernel.descriptors, request.in_fence)
        if fence is None:
            raise DeviceError(EINVAL, "the in-fence is not a sync_file")
        yield fence


def _awaited(file: File, point: Point) -> AwaitedPoint:
    syncobj = file.syncobjs.get(point.handle)
    assert syncobj is not None, "checked"
    return syncobj.awaited(point.point)


def _user_wait(file: File, point: Point) -> UserWait:
    syncobj = file.syncobjs.get(point.handle)
    if syncobj is None:
        raise DeviceError(ENOENT, f"no syncobj {point.handle}")
    if not isinstance(syncobj, UserSyncobj) or point.point == 0:
        raise DeviceError(EINVAL, f"syncobj {point.handle} has no user point {point.point}")
    return UserWait(syncobj, point.point)


def _check_user_job(request: Submit, outs: tuple[tuple[Syncobj, int], ...]) -> None:
    """UR1 for the engine: what waits for user space shows no dma_fence. Decided by what was supplied."""
    if request.implicit or request.out_fence:
        raise DeviceError(EINVAL, "a job that waits for user fences has no dma_fence")
    if not all(isinstance(syncobj, UserSyncobj) for syncobj, _ in outs):
        raise DeviceError(EINVAL, "a job that waits for user fences signals user fences only")


def _buffers(target: Pixels, sources: Mapping[int, Pixels]) -> Sequence[tuple[GemObject, bool]]:
    writes = {target.gem: True}
    for pixels in sources.values():
        writes.setdefault(pixels.gem, False)
    return tuple(writes.items())


def _submission(file: File, request: Submit, checked: _Checked, job: Job) -> Submission:
    """What an observer of buffers is told."""
    carriers: list[Carrier] = [_awaited(file, point) for point in request.in_points]
    in_file = file.kernel.descriptors.find(request.in_fence, SyncFile)
    if in_file is not None:
        carriers.append(in_file)
    waits = [Wait(carrier, fence) for carrier, fence in zip(carriers, checked.waits, strict=True)]
    waits += [Wait(_awaited(file, point), None) for point in request.user_in_points]
    accesses = [Access(gem.resv, write) for gem, write in checked.buffers]
    if request.implicit:
        waits += [Wait(Reservation(resv, usage_for(write=writes)), None) for resv, writes in accesses]
    return Submission(
        queue=checked.entity,
        job=job,
        finished=job.finished,
        label=request.label,
        accesses=accesses,
        waits=waits,
        outs=[syncobj.awaited(point) for syncobj, point in checked.outs],
        implicit=request.implicit,
    )


def _publish(kernel: Kernel, job: Job, checked: _Checked, *, implicit: bool) -> None:
    for gem, write in () if checked.user_waits else checked.buffers:
        usage = (Usage.WRITE if write else Usage.READ) if implicit else Usage.BOOKKEEP
        gem.resv.add(job.finished, usage)
    for syncobj, point in checked.outs:
        syncobj.put(kernel, job.finished, point)
