"""GEM objects and their dma-bufs: memory, its reservation object, and who can still reach it."""

import mmap
import os
import weakref
from typing import Final

from syncline.kms_model.buffers.resv import Resv
from syncline.kms_model.descriptors import Descriptors, memory_file
from syncline.kms_model.uapi import Fd

PAGE: Final = 4096


class DmaBuf:
    """What an exported buffer is known by, as long as a descriptor of it is open outside."""

    __slots__ = ("_object", "resv", "size")

    def __init__(self, gem: "GemObject") -> None:
        self.resv = gem.resv
        self.size = gem.size
        self._object = weakref.ref(gem)

    def import_object(self, fd: int) -> "GemObject":
        """The GEM object behind `fd`, which is a descriptor of this buffer. The same one while it lives."""
        gem = self._object()
        if gem is None:
            gem = GemObject(self.size, self.resv, os.dup(fd), self)
            self._object = weakref.ref(gem)
        return gem


class GemObject:
    """A buffer. Its memory lives while anything in the machine refers to it, or a descriptor is open outside.

    Handle tables, framebuffers and jobs hold it by ordinary references; with the last of them the
    machine's own descriptor and mapping are closed, so that an outside holder is all that is left.
    """

    __slots__ = ("__weakref__", "_dmabuf", "_fd", "_map", "resv", "size")

    def __init__(
        self, size: int, resv: Resv | None = None, fd: int | None = None, dmabuf: DmaBuf | None = None
    ) -> None:
        self.size = size
        self.resv = Resv() if resv is None else resv
        self._fd = memory_file("dma-buf", size) if fd is None else fd
        self._dmabuf = dmabuf
        self._map: mmap.mmap | None = None
        weakref.finalize(self, os.close, self._fd)

    @property
    def memory(self) -> mmap.mmap:
        """The bytes, mapped on first use."""
        if self._map is None:
            self._map = mmap.mmap(self._fd, self.size)
        return self._map

    def export(self, descriptors: Descriptors) -> Fd:
        """A descriptor of the dma-buf, to be given away."""
        if self._dmabuf is not None:
            return Fd(os.dup(self._fd))
        dmabuf = DmaBuf(self)
        fd = descriptors.publish_file(os.dup(self._fd), dmabuf)
        self._dmabuf = dmabuf
        return fd


def round_to_pages(size: int) -> int:
    return -(-size // PAGE) * PAGE
