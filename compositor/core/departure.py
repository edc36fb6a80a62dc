"""Giving frames to the kernel: compose what must be composed, name what must be waited for, commit."""

from errno import EBUSY

from syncline.compositor.core.buffer import Origin
from syncline.compositor.core.composition import Swapchain
from syncline.compositor.core.damage import Damage
from syncline.compositor.core.display import Crtc, Plane
from syncline.compositor.core.flights import Flights
from syncline.compositor.core.frame import Frame
from syncline.compositor.core.in_fence import in_fence, is_unfinished, look_who_is_finished
from syncline.compositor.core.lessons import Lessons
from syncline.compositor.core.output import Output
from syncline.compositor.core.overdue import FlipWatch
from syncline.compositor.core.policy import ImplicitMode
from syncline.compositor.core.scanout import Arrangement, Arranger
from syncline.compositor.core.scene import Element
from syncline.compositor.core.stage import Stage
from syncline.compositor.core.surface import ContentUpdate
from syncline.kms_model.uapi import (
    DeviceError,
    DmaBufImportSyncFile,
    DmaBufSyncFlag,
    Fd,
    ModeCreateBlob,
    ModeDestroyBlob,
    encode_user_points,
)


class TooLate(Exception):
    """The parked frame that was to be replaced has been promoted meanwhile."""


class Departures:
    """Of one output. What the kernel took is in `flights`."""

    def __init__(
        self, stage: Stage, output: Output, crtc: Crtc, *, swapchain: Swapchain, arranger: Arranger,
        damage: Damage, flights: Flights, lessons: Lessons, flip_watch: FlipWatch,
    ) -> None:  # fmt: skip
        self._stage = stage
        self._output = output
        self._crtc = crtc
        self._swapchain = swapchain
        self._arranger = arranger
        self._damage = damage
        self._flights = flights
        self._lessons = lessons
        self._flip_watch = flip_watch

    # -- finished frames --------------------------------------------------------------------------

    def fly(
        self, arrangement: Arrangement, elements: list[Element], now_ns: int, *, is_torn: bool = False
    ) -> Frame | None:
        """Compose what must be composed and commit, in place of a parked frame if there is one.

        None: the machine refused. Raises TooLate.
        """
        frame = self._frame(arrangement, now_ns, is_torn=is_torn)
        fences: dict[Plane, Fd] = {}
        try:
            look_who_is_finished(self._stage.device, elements)
            if self._crtc.primary not in arrangement.planes:
                self._compose(arrangement, frame, fences)
            for plane, element in arrangement.planes.items():
                loan = element.loan
                if loan.explicit:
                    fences[plane] = in_fence(self._stage.device, loan, done_fence=self._stage.done_fence)
            self._commit(arrangement, frame, fences, now_ns)
        except DeviceError as refusal:
            if frame.composed_point:
                self._flights.stray(frame.composed_point, frame.read)
            self._damage.forget()
            if refusal.errno == EBUSY and self._flights.parked is not None:
                raise TooLate from refusal
            self._stage.journal.refused(refusal, "showing a frame", now_ns)
            if not is_torn:
                self._arranger.refused(arrangement, refusal.errno)
            return None
        finally:
            for fence in fences.values():
                if fence != self._stage.done_fence:
                    self._stage.device.close_fd(fence)
        return frame

    def _frame(self, arrangement: Arrangement, now_ns: int, *, is_torn: bool = False) -> Frame:
        loans = [element.loan for element in arrangement.planes.values()]
        return Frame(
            self._flights.next_number, self._output.latch_ns, now_ns, self._output.target_ns, image=None,
            planes=frozenset(loans), is_torn=is_torn,
        )  # fmt: skip

    def _compose(self, arrangement: Arrangement, frame: Frame, fences: dict[Plane, Fd]) -> None:
        stage, implicit = self._stage, self._stage.policy.implicit is ImplicitMode.FORWARD
        damage = self._damage.since_last(arrangement.composed)
        frame.image = self._swapchain.newest
        if not damage:
            return
        label = f"{self._output.name} frame {frame.number}"
        painted = self._swapchain.compose(arrangement.composed, damage, implicit=implicit, label=label)
        fences[self._crtc.primary] = painted.fence
        frame.image, frame.composed_point, frame.read = painted.image, painted.point, painted.read
        self._flights.reads(painted.read, painted.point)
        self._damage.composed(arrangement.composed)
        for loan in painted.read:
            if not implicit and not loan.explicit and loan.buffer.origin is Origin.DMABUF:
                publish = DmaBufImportSyncFile(
                    fd=loan.buffer.fd, flags=DmaBufSyncFlag.READ, sync_file=painted.fence
                )
                stage.device.call(publish)

    def _commit(self, arrangement: Arrangement, frame: Frame, fences: dict[Plane, Fd], now_ns: int) -> None:
        shows = self._arranger.shows(arrangement, frame.image)
        leaves = any(loan.explicit and loan not in frame.planes for loan in self._flights.planes)
        overrides = self._flights.parked is not None
        request = self._crtc.flip(
            shows, in_fences=fences, wants_out_fence=leaves, user_data=frame.number, is_torn=frame.is_torn,
            overrides=overrides,
        )  # fmt: skip
        reply = self._stage.device.call(request)
        self._lessons.accepted(frame)
        if overrides:
            self._flights.unpark(now_ns)
        self._crtc.taken(shows)
        frame.waits_for = frozenset(
            loan for loan in (*frame.read, *frame.planes) if is_unfinished(loan, self._stage.policy.implicit)
        )
        if frame.composed_point:
            self._stage.compositions.enter(frame)
            if self._lessons.is_sample(frame):
                frame.composed_fence = fences.pop(self._crtc.primary)
        self._flights.take_off(frame, reply, now_ns)
        self._flip_watch.took_off(now_ns)

    # -- frames that wait for user space ----------------------------------------------------------

    def park(
        self, arrangement: Arrangement, plane: Plane, update: ContentUpdate, *, timeout_ns: int, now_ns: int
    ) -> Frame | None:
        """Commit a frame whose one new picture, on that plane, is not finished: the display waits (UR5).

        Until `timeout_ns`, and at most until its vblank if others are on the screen. None: the machine refused.
        """
        assert update.loan is not None
        assert update.loan.acquire is not None
        frame = self._frame(arrangement, now_ns)
        frame.waiting, frame.waits_for = update, frozenset({update.loan})
        if self._crtc.primary not in arrangement.planes:
            frame.image = self._swapchain.newest
        frame.shows = self._arranger.shows(arrangement, frame.image)
        acquire, blobs = update.loan.acquire, list[int]()
        try:
            blobs.append(self._blob(acquire.timeline.handle, acquire.value))
            blobs.append(self._blob(self._flights.user_timeline(), frame.number))
            request = self._crtc.park(
                frame.shows, plane, in_point=blobs[0], out_point=blobs[1], user_data=frame.number,
                timeout_ns=timeout_ns if _is_alone(arrangement, update) else min(timeout_ns, frame.target_ns),
            )  # fmt: skip
            self._stage.device.call(request)
        except DeviceError as refusal:
            self._stage.journal.refused(refusal, "parking a frame", now_ns)
            return None
        finally:
            for blob in blobs:
                self._stage.device.call(ModeDestroyBlob(blob_id=blob))
        self._flights.park(frame)
        return frame

    def _blob(self, handle: int, point: int) -> int:
        data = encode_user_points([(handle, point)])
        return self._stage.device.call(ModeCreateBlob(data=data)).blob_id


def _is_alone(arrangement: Arrangement, update: ContentUpdate) -> bool:
    """Nobody else is on that screen: a frame that is promoted long before a vblank is in nobody's way."""
    elements = (*arrangement.planes.values(), *arrangement.composed)
    return all(element.surface.client is update.surface.client for element in elements)
