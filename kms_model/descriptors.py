"""Real descriptors for modelled objects, and the news that nobody outside holds one any more.

A descriptor that a request lends is known by its inode. Small memfds stand for syncobjs and sw_sync
timelines, sealed memfds for buffers, and the read end of a pipe for a sync_file, so that poll(2) works.
The machine keeps no descriptor of what it gave away, so the object is dropped with the last one
outside: inotify says when a memfd's inode died, a pipe's write end polls as broken.
"""

import ctypes
import fcntl
import os
import select
import struct
from collections.abc import Callable
from errno import EBADF, EINVAL
from typing import Final, TypeVar

from syncline.kms_model.uapi import DeviceError, Fd

T = TypeVar("T")

Inode = tuple[int, int]

_IN_DELETE_SELF: Final = 0x400
_IN_IGNORED: Final = 0x8000
_EVENT: Final = struct.Struct("iIII")
_READ_SIZE: Final = 64 * 1024
_SEALS: Final = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
"""The last one: nobody outside may seal the memory against the machine's own writing."""
_EVENTFD: Final = "anon_inode:[eventfd]"
_libc = ctypes.CDLL(None, use_errno=True)


def is_open(fd: int) -> bool:
    """Is `fd` a descriptor at all? (-EBADF otherwise, where the kernel says so)"""
    try:
        os.fstat(fd)
    except (OSError, OverflowError):
        return False
    return True


def check_eventfd(fd: int) -> None:
    """EBADF: not a descriptor. EINVAL: not an eventfd. All anonymous inodes are one, so fstat cannot tell."""
    try:
        name = os.readlink(f"/proc/self/fd/{fd}")  # noqa: PTH115 - a magic link is not a path
    except OSError as error:
        raise DeviceError(EBADF, "not a descriptor") from error
    if name != _EVENTFD:
        raise DeviceError(EINVAL, "not an eventfd")


def is_pidfd(fd: int) -> bool:
    try:
        return "pidfd" in os.readlink(f"/proc/self/fd/{fd}")  # noqa: PTH115 - a magic link is not a path
    except OSError:
        return False


def has_exited(pidfd: int) -> bool:
    poller = select.poll()
    poller.register(pidfd, select.POLLIN)
    return bool(poller.poll(0))


def memory_file(name: str, size: int) -> int:
    """A memfd of `size` bytes that nobody can resize, so that a mapping never faults."""
    fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
    return fd


class Signalbox:
    """The machine's end of a sync_file's pipe. `signal` makes the other end readable, for ever."""

    __slots__ = ("_fd",)

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def signal(self) -> None:
        if self._fd >= 0:
            try:
                os.write(self._fd, b"\1")
            except (BrokenPipeError, BlockingIOError):
                return  # closed just now, of which `collect` will hear; or filled by somebody who opened it anew

    def fileno(self) -> int:
        return self._fd

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class Descriptors:
    """Who is who among the descriptors that come back."""

    def __init__(self) -> None:
        self.hears_of_polls = False
        """Whoever polls a sync_file says so (`SyncFile.polled`)."""
        self._things: dict[Inode, object] = {}
        self._dropped: dict[Inode, Callable[[], None]] = {}
        self._by_watch: dict[int, Inode] = {}
        self._by_pipe: dict[int, tuple[Inode, Signalbox]] = {}
        self._by_pidfd: dict[int, Callable[[], None]] = {}
        self._news: select.epoll | None = None
        self._inotify = -1

    def find(self, fd: int, kind: type[T]) -> T | None:
        """The `kind` behind `fd`; None for a closed number, a foreign descriptor, or another kind."""
        try:
            stat = os.fstat(fd)
        except (OSError, OverflowError):
            return None
        thing = self._things.get((stat.st_dev, stat.st_ino))
        return thing if isinstance(thing, kind) else None

    def publish_file(self, fd: int, thing: object, dropped: Callable[[], None] | None = None) -> Fd:
        """Know the memfd `fd`, which is given away, as `thing`. Its last descriptor and mapping gone: `dropped`."""
        try:
            watch = self._watch(fd)
        except OSError:
            os.close(fd)
            raise
        self._by_watch[watch] = self._enter(fd, thing, dropped)
        return Fd(fd)

    def publish_pipe(self, thing: object, dropped: Callable[[], None]) -> tuple[Fd, Signalbox]:
        """A pollable descriptor to give away, and the end that makes it readable."""
        news = self._open()
        reader, writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        box = Signalbox(writer)
        self._by_pipe[writer] = (self._enter(reader, thing, dropped), box)
        news.register(writer, select.EPOLLERR)
        return Fd(reader), box

    def watch_exit(self, pidfd: int, exited: Callable[[], None]) -> None:
        """Call `exited` from `collect` once the process is gone. The caller keeps its `pidfd`."""
        news, own = self._open(), os.dup(pidfd)
        self._by_pidfd[own] = exited
        news.register(own, select.EPOLLIN)

    def known(self) -> tuple[object, ...]:
        """Everything that somebody outside may still hold."""
        return tuple(self._things.values())

    def fileno(self) -> int:
        """Polls readable while `collect` has something to do."""
        return self._open().fileno()

    def collect(self) -> None:
        """Drop every object whose last outside descriptor is gone."""
        if self._news is None:
            return
        for fd, _ in self._news.poll(0):
            if fd == self._inotify:
                self._read_inotify()
            elif fd in self._by_pidfd:
                os.close(fd)
                self._by_pidfd.pop(fd)()
            else:
                inode, box = self._by_pipe.pop(fd)
                box.close()
                self._leave(inode)

    def close(self) -> None:
        """Forget everything; what is outside stays open and is no longer known."""
        for _, box in self._by_pipe.values():
            box.close()
        self._by_pipe.clear()
        for pidfd in self._by_pidfd:
            os.close(pidfd)
        self._by_pidfd.clear()
        self._things.clear()
        self._dropped.clear()
        if self._news is not None:
            self._news.close()
            os.close(self._inotify)
            self._news = None

    def __del__(self) -> None:
        self.close()

    def _open(self) -> select.epoll:
        if self._news is None:
            self._inotify = _libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
            if self._inotify < 0:
                raise OSError(ctypes.get_errno(), "inotify_init1")
            self._news = select.epoll()
            self._news.register(self._inotify, select.EPOLLIN)
        return self._news

    def _watch(self, fd: int) -> int:
        self._open()
        watch: int = _libc.inotify_add_watch(self._inotify, f"/proc/self/fd/{fd}".encode(), _IN_DELETE_SELF)
        if watch < 0:
            raise OSError(ctypes.get_errno(), "inotify_add_watch")
        return watch

    def _enter(self, fd: int, thing: object, dropped: Callable[[], None] | None) -> Inode:
        stat = os.fstat(fd)
        inode = (stat.st_dev, stat.st_ino)
        self._things[inode] = thing
        if dropped is not None:
            self._dropped[inode] = dropped
        return inode

    def _leave(self, inode: Inode) -> None:
        self._things.pop(inode, None)
        dropped = self._dropped.pop(inode, None)
        if dropped is not None:
            dropped()

    def _read_inotify(self) -> None:
        while True:
            try:
                data = os.read(self._inotify, _READ_SIZE)
            except BlockingIOError:
                return
            at = 0
            while at < len(data):
                watch, mask, _, name_length = _EVENT.unpack_from(data, at)
                at += _EVENT.size + name_length
                if mask & _IN_IGNORED and (inode := self._by_watch.pop(watch, None)) is not None:
                    self._leave(inode)
