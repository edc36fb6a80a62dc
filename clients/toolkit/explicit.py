"""Explicit sync: timelines shared with the compositor, and images that come back by a point on one.

The window has one acquire timeline: points are signalled by the GPU in the order of the frames. Each
image has a release timeline of its own, because signalling a point signals all below it (S75, S76):
on a shared one, releasing a young image would release every older one that is still being read.
"""

from collections.abc import Callable
from typing import ClassVar

from syncline.clients.toolkit.display import Display
from syncline.clients.toolkit.gpu_buffer import GpuBuffer
from syncline.clients.toolkit.loan import Loan
from syncline.clients.toolkit.options import Size
from syncline.clients.toolkit.proxies import Dmabuf, SyncobjManager, SyncobjTimeline
from syncline.kms_model.uapi import (
    HandleReply,
    Request,
    SyncobjCreate,
    SyncobjCreateUser,
    SyncobjDestroy,
    SyncobjEventfd,
    SyncobjHandleToFd,
)
from syncline.protocol.object import Proxy


class Timeline:
    """One syncobj: `handle` to the device, `wl` to the compositor, and the last `point` that was given out."""

    creation: ClassVar[Request[HandleReply]] = SyncobjCreate()

    def __init__(self, display: Display) -> None:
        self._device = display.context.device
        self.point = 0
        self.handle = self._device.call(self.creation).handle
        fd = self._device.call(SyncobjHandleToFd(handle=self.handle)).fd
        manager = display.bind(SyncobjManager)
        self.wl = manager.request_new("import_timeline", SyncobjTimeline, fd)
        self._device.close_fd(fd)  # lent to the message, and the compositor has its own by then (S14)

    def next_point(self) -> int:
        self.point += 1
        return self.point

    def destroy(self) -> None:
        self.wl.send("destroy")
        self._device.call(SyncobjDestroy(handle=self.handle))


class UserTimeline(Timeline):
    """The same with a user fence behind it: a number in memory that whoever may write it raises (kernel.md 6)."""

    creation: ClassVar[Request[HandleReply]] = SyncobjCreateUser()


class ExplicitImage:
    """A GPU image and its release timeline."""

    needs: ClassVar[tuple[type[Proxy], ...]] = (Dmabuf, SyncobjManager)
    make_timeline: Callable[[Display], Timeline] = Timeline  # a class, so it does not bind

    def __init__(self, display: Display, *, index: int, size: Size) -> None:
        self.size = size
        self.buffer = GpuBuffer(display, size)
        self.release = self.make_timeline(display)
        self.loan = Loan(display.context, image=index)
        self._display = display
        self._device = display.context.device
        self._bell = display.context.doorbell(self.loan.end)

    def lend(self) -> int:
        """The point at which the image will be back; an eventfd is rung when it is signalled."""
        point = self.release.next_point()
        self._device.call(SyncobjEventfd(handle=self.release.handle, point=point, fd=self._bell.fd))
        self.loan.begin(point=point)
        return point

    def resize(self, size: Size) -> None:
        self.buffer.destroy()
        self.buffer = GpuBuffer(self._display, size)
        self.size = size

    def destroy(self) -> None:
        self._bell.close()
        self.release.destroy()
        self.buffer.destroy()


class UserImage(ExplicitImage):
    """A GPU image whose release point is one of a user fence."""

    make_timeline: Callable[[Display], Timeline] = UserTimeline
