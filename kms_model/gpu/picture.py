"""What a job paints, and which rows of it are done after how much engine time."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec
import numpy as np

from syncline.kms_model import raster
from syncline.kms_model.buffers.buffer import GemObject
from syncline.kms_model.uapi import Blit, Command

FOREVER_NS: Final = 1 << 47  # 39 hours; longer durations are cut to it, no watchdog waits that long
_STEPS: Final = 16
"""In so many steps a long undisturbed job appears: enough to see that it is unfinished."""
_PAUSE_NS: Final = 1_000_000
"""A short one appears in fewer, at most one in this time: each wakes the machine up."""


class Pixels(msgspec.Struct, frozen=True):
    """`width` x `height` XRGB8888 or ARGB8888 pixels in a buffer."""

    gem: GemObject
    width: int
    height: int
    pitch: int
    offset: int = 0

    def fits(self) -> bool:
        """Whole pixels in whole rows, all of them inside the buffer."""
        if self.width < 1 or self.height < 1 or self.offset < 0 or self.pitch < 4 * self.width:
            return False
        end = self.offset + (self.height - 1) * self.pitch + 4 * self.width
        return end <= self.gem.size and not (self.pitch | self.offset) & 3

    def view(self) -> raster.Image:
        """The memory itself, mapped on first use."""
        shape, strides = (self.height, self.width), (self.pitch, 4)
        return np.ndarray(shape, np.uint32, self.gem.memory, self.offset, strides)


class Picture:
    """Rows appear from the top, each when its own painting and its share of the idle rest are over."""

    def __init__(
        self, target: Pixels, commands: Sequence[Command], sources: Mapping[int, Pixels], duration_ns: int
    ) -> None:
        """`sources` by place in `commands`. A list that costs more than `duration_ns` takes what it costs."""
        self._target = target
        self._commands = commands
        self._sources = {id(commands[place]): pixels for place, pixels in sources.items()}
        self._costs_ns = raster.row_costs_ns(commands, height=target.height, width=target.width)
        rest_ns = max(0, min(duration_ns, FOREVER_NS) - int(self._costs_ns[-1]))
        self._done_ns = self._costs_ns + rest_ns * np.arange(target.height + 1) // target.height
        self._rows = 0
        self.duration_ns = int(self._done_ns[-1])

    def step_ns(self, elapsed_ns: int, *, paint_ns: int) -> int:
        """How long the job may be left alone from `elapsed_ns` on: not for more painting than `paint_ns`."""
        cheap = int(self._costs_ns.searchsorted(self._costs_ns[self._rows] + paint_ns, side="right")) - 1
        return min(max(self.duration_ns // _STEPS, _PAUSE_NS), int(self._done_ns[cheap]) - elapsed_ns)

    def paint_until(self, elapsed_ns: int) -> None:
        """Paint the rows that are done after `elapsed_ns` of engine time and are not painted yet."""
        done = int(self._done_ns[1:].searchsorted(elapsed_ns, side="right"))
        if done > self._rows:
            view = self._target.view()
            raster.paint(view, self._commands, self._source_of, top=self._rows, bottom=done)
            self._rows = done

    def _source_of(self, blit: Blit) -> raster.Image:
        return self._sources[id(blit)].view()
