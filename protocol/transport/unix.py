"""The real thing: a stream over AF_UNIX with SCM_RIGHTS, written when the peer is ready for it."""

import array
import os
import socket
import struct
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from syncline.protocol.fd import close_all
from syncline.protocol.transport import PENDING_BYTES, PENDING_FDS, Loop, OnClosed, OnData

READ_BYTES: Final = 4096  # one turn's share for one peer, as libwayland reads
_SCM_MAX_FD: Final = 253  # the most that the kernel lets one sendmsg carry
_ANCILLARY_BYTES: Final = socket.CMSG_SPACE(_SCM_MAX_FD * 4)
_PEERCRED: Final = struct.Struct("=iII")
_RECEIVING: Final = int(
    socket.MSG_CMSG_CLOEXEC
)  # plain numbers: those of an enum cost microseconds to combine
_SENDING: Final = int(socket.MSG_NOSIGNAL | socket.MSG_DONTWAIT)
_LOST: Final = int(socket.MSG_CTRUNC)


class UnixTransport:
    """One end of a connected stream socket. It owns the socket."""

    def __init__(self, loop: Loop, sock: socket.socket) -> None:
        sock.settimeout(0)
        self._loop = loop
        self._socket = sock
        self._on_data: OnData = _nobody
        self._on_closed: OnClosed = _no_one
        self._pending: deque[tuple[memoryview, list[int]]] = deque()
        self._pending_bytes = 0
        self._is_started = False
        self._is_writing = False
        self._is_deaf = False  # the peer no longer reads; it may still have something to say
        self._is_closed = False

    def peer_pid(self) -> int:
        """The process that made the other end."""
        raw = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEERCRED.size)
        pid: int = _PEERCRED.unpack(raw)[0]
        return pid

    def start(self, on_data: OnData, on_closed: OnClosed) -> None:
        self._on_data = on_data
        self._on_closed = on_closed
        self._is_started = True
        self._loop.add_reader(self._socket.fileno(), self._read)

    def pause(self) -> None:
        if not self._is_closed:
            self._loop.remove_reader(self._socket.fileno())

    def resume(self) -> None:
        if not self._is_closed:
            self._loop.add_reader(self._socket.fileno(), self._read)

    def _read(self) -> None:
        try:
            data, ancillary, flags, _ = self._socket.recvmsg(READ_BYTES, _ANCILLARY_BYTES, _RECEIVING)
        except BlockingIOError:
            return
        except OSError as error:
            self._end(os.strerror(error.errno or 0))
            return
        fds = _descriptors(ancillary) if ancillary else []
        if flags & _LOST:  # out of descriptors: those that are missing cannot be asked for again
            close_all(fds)
            self._end("descriptors were lost on the way")
        elif data:
            self._on_data(data, fds)
        else:
            self._end("the peer hung up")

    def write(self, packets: Sequence[tuple[bytes, list[int]]]) -> None:
        for data, fds in packets:
            if self._is_closed or self._is_deaf:
                close_all(fds)
            else:
                self._pending.append((memoryview(data), fds))
                self._pending_bytes += len(data)
        if not self._is_writing:
            self._write()
        if self._pending and self._is_too_much():
            self._give_up_writing()
            self._loop.call_soon(self._end_unread)

    def _is_too_much(self) -> bool:
        pending_fds = sum(len(fds) for _, fds in self._pending)
        return self._pending_bytes > PENDING_BYTES or pending_fds > PENDING_FDS

    def _write(self) -> None:
        """Send until the peer takes no more. Descriptors leave with the first byte of their packet."""
        while self._pending:
            data, fds = self._pending[0]
            try:
                if fds:
                    sent = self._socket.sendmsg([data], _rights(fds), _SENDING)
                else:
                    sent = self._socket.send(data, _SENDING)
            except BlockingIOError:
                self._wait_to_write(is_waiting=True)
                return
            except OSError:
                self._give_up_writing()  # what the peer said before it left is still to be read
                return
            if fds:
                close_all(fds)
            self._pending_bytes -= sent
            if sent < len(data):
                self._pending[0] = data[sent:], []
            else:
                self._pending.popleft()
        if self._is_writing:
            self._wait_to_write(is_waiting=False)

    def _wait_to_write(self, *, is_waiting: bool) -> None:
        if is_waiting and not self._is_writing:
            self._loop.add_writer(self._socket.fileno(), self._write)
        elif self._is_writing and not is_waiting:
            self._loop.remove_writer(self._socket.fileno())
        self._is_writing = is_waiting

    def _give_up_writing(self) -> None:
        self._is_deaf = True
        self._wait_to_write(is_waiting=False)
        for _, fds in self._pending:
            close_all(fds)
        self._pending.clear()
        self._pending_bytes = 0

    def _end_unread(self) -> None:
        self._end("the peer does not read")

    def _end(self, reason: str) -> None:
        if not self._is_closed:
            self.close()
            self._on_closed(reason)

    def close(self) -> None:
        """Send what can be sent at once, then hang up."""
        if self._is_closed:
            return
        if not self._is_deaf:
            self._write()
        self._is_closed = True
        self._give_up_writing()
        if self._is_started:
            self._loop.remove_reader(self._socket.fileno())
        self._socket.close()


def connect(loop: Loop, path: Path) -> UnixTransport:
    """Connect to a listening socket. Raises OSError."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.connect(os.fspath(path))
    except OSError:
        sock.close()
        raise
    return UnixTransport(loop, sock)


def _rights(fds: list[int]) -> list[tuple[int, int, "array.array[int]"]]:
    return [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))]


def _descriptors(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    fds = array.array("i")
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(data[: len(data) - len(data) % fds.itemsize])
    return list(fds)


def _nobody(_data: bytes, fds: list[int]) -> None:
    close_all(fds)


def _no_one(_reason: str) -> None:
    """Nobody to tell before `start`."""
