"""wl_shm contents on their way to the GPU: a few buffers of ours per surface, written in turn.

What is on screen, or in a job, must not change under its reader; so each commit writes a buffer that
nobody reads. A buffer that comes round again is behind by everything that was damaged meanwhile: that
is what `_Slot.stale` remembers, so a partial update is copied in part and the image is right in whole.
"""

import mmap
from functools import partial
from typing import Final

from syncline.compositor.core.buffer import Buffer
from syncline.compositor.core.geometry import Rect, Region
from syncline.compositor.core.state import PendingState
from syncline.compositor.wayland.buffer import ShmBuffer
from syncline.compositor.wayland.session import Session
from syncline.kms_model.uapi import DmaBufSyncFlag

SPARE_MAX: Final = 2
"""Free buffers kept for the next commits: one displayed, one flipping and one being written make three."""


class _Slot:
    """One buffer of ours, mapped."""

    def __init__(self, buffer: Buffer) -> None:
        self.buffer = buffer
        self.is_free = True
        self.stale = Region((Rect(0, 0, buffer.width, buffer.height),))
        self._map = mmap.mmap(buffer.fd, buffer.pitch * buffer.height)
        self.memory = memoryview(self._map)

    def copy(self, source: ShmBuffer) -> None:
        """Bring it up to date. Raises PoolShrunk."""
        self.stale.simplify()
        for rect in self.stale:
            source.pool.read(
                self.memory,
                offset=source.offset,
                stride=source.stride,
                pitch=self.buffer.pitch,
                rect=rect,
            )
        self.stale = Region()

    def close(self) -> None:
        self.memory.release()
        self._map.close()


class Uploads:
    """One surface's ring."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._slots: list[_Slot] = []

    def upload(self, source: ShmBuffer, damage: Region) -> Buffer:
        """A buffer that shows what `source` shows now; `damage` is inside of it. Raises PoolShrunk, DeviceError."""
        self._fit(source)
        rects = list(damage)
        for slot in self._slots:
            slot.stale.add_all(rects)
        free = [slot for slot in self._slots if slot.is_free]
        slot = free[0] if free else self._grow(source)
        with self._session.core.cpu_access(slot.buffer, DmaBufSyncFlag.WRITE):
            slot.copy(source)
        slot.is_free = False
        return slot.buffer

    def close(self) -> None:
        """The surface is gone. The core keeps what it still shows."""
        while self._slots:
            self._drop(self._slots[0])

    def _fit(self, source: ShmBuffer) -> None:
        for slot in list(self._slots):
            buffer = slot.buffer
            if (buffer.width, buffer.height, buffer.format) != (source.width, source.height, source.format):
                self._drop(slot)

    def _grow(self, source: ShmBuffer) -> _Slot:
        buffer = self._session.core.create_upload(
            self._session.client, width=source.width, height=source.height, format=source.format
        )
        slot = _Slot(buffer)
        self._slots.append(slot)
        self._session.stage.released[buffer] = partial(self._release, slot)
        return slot

    def _release(self, slot: _Slot) -> None:
        slot.is_free = True
        spare = [each for each in self._slots if each.is_free]
        for each in spare[SPARE_MAX:]:
            self._drop(each)

    def _drop(self, slot: _Slot) -> None:
        self._slots.remove(slot)
        slot.close()
        del self._session.stage.released[slot.buffer]
        self._session.core.destroy_buffer(slot.buffer, self._session.now_ns)


def damage_in_buffer(pending: PendingState, width: int, height: int) -> Region:
    """The cycle's damage in pixels of its buffer; everything where surface damage cannot be mapped simply."""
    bounds = Rect(0, 0, width, height)
    is_mapped = pending.transform or pending.viewport_source or pending.viewport_destination
    if pending.surface_damage and is_mapped:
        return Region((bounds,))
    scale = pending.scale
    region = Region()
    for rect in pending.buffer_damage:
        region.add(rect.intersect(bounds))
    for x, y, w, h in pending.surface_damage:
        region.add(Rect(x * scale, y * scale, w * scale, h * scale).intersect(bounds))
    return region
