"""What an output's own frames teach about the time they need: its margin follows from that."""

from typing import Final

from syncline.compositor.core.frame import Frame
from syncline.compositor.core.output import Output
from syncline.kms_model.uapi import DeviceFile, SyncFileInfo

LEARN_EVERY: Final = 4
"""Of the composed frames, one in so many is asked how long it took: the question is a round trip."""


class Lessons:
    """`accepted` times the way to the kernel, `flipped` the GPU's work and what came too late."""

    def __init__(self, device: DeviceFile, output: Output) -> None:
        self._device = device
        self._output = output

    def is_sample(self, frame: Frame) -> bool:
        """Whether to keep the fence of its composition, for `flipped` to look at and to close."""
        return frame.number % LEARN_EVERY == 0 or not self._output.margin.composed.is_sure

    def accepted(self, frame: Frame) -> None:
        """The last call was its commit. A composed frame's image may be finished after that."""
        frame.accepted_ns = self._device.answered_ns
        if not frame.composed_point:
            self._output.margin.direct.learn(frame.accepted_ns - frame.planned_ns)

    def flipped(self, frame: Frame, flip_ns: int) -> None:
        margin = self._output.margin
        fence, frame.composed_fence = frame.composed_fence, None
        if fence is not None:
            info = self._device.call(SyncFileInfo(fd=fence, num_fences=1))
            self._device.close_fd(fence)
            if not frame.waits_for and info.status > 0 and info.fences:
                there_ns = max(frame.accepted_ns, info.fences[0].timestamp_ns)
                margin.composed.learn(there_ns - frame.planned_ns)
        is_late = flip_ns - frame.target_ns > self._output.grid.refresh_ns // 2
        if is_late and not frame.waits_for and not frame.is_first:
            margin.missed(composed=bool(frame.composed_point))
