"""Shared memory for the slots of user fences: pages of 64-byte slots that clients may map (kernel.md 6.1)."""

import mmap
import os
import struct
from typing import Final, Protocol
from weakref import WeakValueDictionary

from syncline.kms_model.descriptors import memory_file
from syncline.kms_model.uapi import USER_FENCE_SLOT, Fd

PAGE_SIZE: Final = 4096
SLOTS_PER_PAGE: Final = PAGE_SIZE // USER_FENCE_SLOT
_VALUE: Final = struct.Struct("<Q")
_STATUS: Final = struct.Struct("<i")
_STATUS_AT: Final = 8
_DEADLINE: Final = struct.Struct("<q")
_DEADLINE_AT: Final = 16
_LATEST_NS: Final = (1 << 63) - 1


class Occupant(Protocol):
    """A slot, as its page sees it."""

    value: int
    status: int

    def look_again(self) -> None:
        """From now on the memory may change without a call."""
        ...


class SeqnoPage:
    """One page of slots, all of one file. Its memory is made when somebody wants to map it."""

    def __init__(self) -> None:
        self._free = list(range(SLOTS_PER_PAGE - 1, -1, -1))
        self._slots: WeakValueDictionary[int, Occupant] = WeakValueDictionary()
        self._fd = -1
        self._map: mmap.mmap | None = None
        self.written_outside = False
        """Somebody outside may have mapped it for writing: values have to be looked up."""

    @property
    def full(self) -> bool:
        return not self._free

    def take(self, slot: Occupant) -> int:
        """Its byte offset from now on."""
        offset = self._free.pop() * USER_FENCE_SLOT
        self._slots[offset] = slot
        self.store(offset, slot.value, slot.status)
        return offset

    def give_back(self, offset: int) -> None:
        self._free.append(offset // USER_FENCE_SLOT)
        if self._map is not None:
            self._map[offset : offset + USER_FENCE_SLOT] = bytes(USER_FENCE_SLOT)

    def export(self, *, write: bool) -> Fd:
        """A descriptor to give away. One for reading cannot be mapped for writing."""
        self._make()
        if not write:
            return Fd(os.open(f"/proc/self/fd/{self._fd}", os.O_RDONLY | os.O_CLOEXEC))
        if not self.written_outside:
            self.written_outside = True
            for slot in list(self._slots.values()):
                slot.look_again()
        return Fd(os.dup(self._fd))

    def load(self, offset: int) -> int:
        """The value that the memory holds now."""
        assert self._map is not None, "nobody mapped it"
        value: int = _VALUE.unpack_from(self._map, offset)[0]
        return value

    def store(self, offset: int, value: int, status: int) -> None:
        """Write through, if there is memory. Status first: whoever sees the value may read it."""
        if self._map is not None:
            _STATUS.pack_into(self._map, offset + _STATUS_AT, status)
            _VALUE.pack_into(self._map, offset, value)

    def store_deadline(self, offset: int, deadline_ns: int) -> None:
        """An advisory word, without a contract (Q12)."""
        if self._map is not None:
            _DEADLINE.pack_into(self._map, offset + _DEADLINE_AT, min(max(deadline_ns, 0), _LATEST_NS))

    def _make(self) -> None:
        if self._map is None:
            self._fd = memory_file("seqno-page", PAGE_SIZE)
            self._map = mmap.mmap(self._fd, PAGE_SIZE)
            for offset, slot in list(self._slots.items()):
                self.store(offset, slot.value, slot.status)

    def __del__(self) -> None:
        if self._map is not None:
            self._map.close()
            self._map = None  # slots of the same garbage may still give themselves back
            os.close(self._fd)
