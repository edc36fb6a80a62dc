"""Screen capture: a copy of an output's content in a client's buffer, told of when the copy has finished.

There is no explicit sync on this side of the protocol: "ready" means ready (B40).
"""

from dataclasses import dataclass
from typing import Final

from syncline.compositor.core.buffer import FORMATS, Buffer, Origin
from syncline.compositor.core.composition import duration_ns, in_points, paint
from syncline.compositor.core.effects import CaptureFailed, CaptureReady
from syncline.compositor.core.geometry import Rect, Region
from syncline.compositor.core.loan import Loan
from syncline.compositor.core.output import Output
from syncline.compositor.core.scene import Element
from syncline.compositor.core.stage import Stage
from syncline.kms_model.uapi import (
    Blit,
    DeviceError,
    Point,
    Priority,
    Submit,
    SyncobjCreate,
    SyncobjDestroy,
    SyncobjTimelineWait,
    WaitFlag,
)
from syncline.protocol.enums import ExtImageCopyCaptureFrameV1

MAX_CAPTURES: Final = 32
"""Waiting or running, over all outputs; a recorder has one or two."""
Reason = ExtImageCopyCaptureFrameV1.FailureReason


@dataclass(eq=False, slots=True)
class Capture:
    output: Output
    buffer: Buffer
    token: object
    with_cursor: bool
    point: int = 0
    time_ns: int = 0
    read: tuple[Loan, ...] = ()
    is_cancelled: bool = False


class Captures:
    """Requests wait for their output's next latch, then for their copy."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._timeline = stage.device.call(SyncobjCreate()).handle
        self._count = 0
        self._asked: list[Capture] = []
        self._running: dict[int, Capture] = {}

    def ask(self, capture: Capture) -> bool:
        """Queue it for the next latch; False if it failed at once."""
        buffer, rect = capture.buffer, capture.output.rect
        if len(self._asked) + len(self._running) >= MAX_CAPTURES:
            self._fail(capture, Reason.UNKNOWN)
            return False
        fits = (buffer.width, buffer.height) == (rect.width, rect.height) and buffer.format in FORMATS
        if not fits or not buffer.handle:
            self._fail(capture, Reason.BUFFER_CONSTRAINTS)
            return False
        buffer.loans += 1
        self._asked.append(capture)
        return True

    def is_asked(self, output: Output) -> bool:
        return any(capture.output is output for capture in self._asked)

    def cancel(self, token: object, now_ns: int) -> None:
        for capture in [*self._asked, *self._running.values()]:
            if capture.token is token:
                capture.is_cancelled = True
                if capture in self._asked:
                    self._asked.remove(capture)
                    self._finish(capture, now_ns)

    def copy(self, output: Output, now_ns: int) -> None:
        """The output is being latched: start the copies of what it shows now."""
        if not self._asked:
            return
        due = [capture for capture in self._asked if capture.output is output]
        self._asked = [capture for capture in self._asked if capture.output is not output]
        for capture in due:
            try:
                self._begin(capture)
            except DeviceError as refusal:
                self._stage.journal.refused(refusal, "copying an output", now_ns)
                self._fail(capture, Reason.UNKNOWN)
                self._finish(capture, now_ns)

    def _begin(self, capture: Capture) -> None:
        """The watch comes first: a copy of whose end nobody would hear is not begun."""
        watcher = self._stage.watcher
        elements = self._stage.scene.elements(capture.output, with_cursor=capture.with_cursor)
        watch = watcher.watch(self._timeline, self._count + 1, available=False)
        try:
            self._start(capture, elements)
        except DeviceError:
            watcher.unwatch(watch)
            raise
        self._running[watch] = capture

    def _start(self, capture: Capture, elements: list[Element]) -> None:
        buffer, output = capture.buffer, capture.output
        screen = Rect(0, 0, output.rect.width, output.rect.height)
        policy = self._stage.policy
        commands = paint(elements, Region((screen,)), screen=screen, background=policy.background)
        sources = {command.source for command in commands if isinstance(command, Blit)}
        read = tuple(element.loan for element in elements if element.loan.buffer.handle in sources)
        is_implicit = any(not loan.explicit and loan.buffer.origin is Origin.DMABUF for loan in read)
        point = self._count + 1
        self._stage.device.call(
            Submit(
                target=buffer.handle, target_size=(buffer.width, buffer.height), pitch=buffer.pitch,
                commands=commands, duration_ns=duration_ns(policy, commands), in_points=in_points(read),
                out_points=(Point(handle=self._timeline, point=point),), priority=Priority.NORMAL,
                implicit=is_implicit, label=f"capture {output.name}",
            )
        )  # fmt: skip
        self._count = capture.point = point
        capture.time_ns, capture.read = output.target_ns, read
        for loan in read:
            loan.readers += 1
            loan.read_until(self._timeline, point)

    def point_ready(self, watch: int, now_ns: int) -> bool:
        """Whether the watch is of a copy: then look whether its point is really reached."""
        capture = self._running.pop(watch, None)
        if capture is None:
            return False
        if not self._is_finished(capture.point):
            again = self._stage.watcher.watch(self._timeline, capture.point, available=False)
            self._running[again] = capture
            return True
        if not capture.is_cancelled:
            whole = Rect(0, 0, capture.buffer.width, capture.buffer.height)
            ready = CaptureReady(capture.token, capture.time_ns, capture.output.transform, (whole,))
            self._stage.effects.append(ready)
        self._finish(capture, now_ns)
        return True

    def _is_finished(self, point: int) -> bool:
        flags = WaitFlag.FOR_SUBMIT
        question = SyncobjTimelineWait(handles=(self._timeline,), points=(point,), flags=flags)
        try:
            self._stage.device.call(question)
        except DeviceError:
            return False
        return True

    def _fail(self, capture: Capture, reason: Reason) -> None:
        if not capture.is_cancelled:
            self._stage.effects.append(CaptureFailed(capture.token, reason))

    def _finish(self, capture: Capture, now_ns: int) -> None:
        for loan in capture.read:
            loan.readers -= 1
            loan.reached(self._timeline, capture.point)
            self._stage.releases.settle(loan, now_ns)
        capture.buffer.loans -= 1
        self._stage.releases.free_if_unused(capture.buffer)

    def stop(self, output: Output, now_ns: int) -> None:
        """The output goes; copies already running still finish."""
        for capture in [capture for capture in self._asked if capture.output is output]:
            self._asked.remove(capture)
            self._fail(capture, Reason.STOPPED)
            self._finish(capture, now_ns)

    def close(self) -> None:
        for watch in self._running:
            self._stage.watcher.unwatch(watch)
        self._running.clear()
        self._stage.device.call(SyncobjDestroy(handle=self._timeline))
