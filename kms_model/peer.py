"""One connection to a device node: packets in, calls to the device, replies and events out.

A peer is one open of the node. What a hostile or dead one can do ends with it: a packet that is not
understood closes its connection and nothing else.
"""

import logging
import os
import socket
import struct
from collections import deque
from collections.abc import Sequence
from errno import EACCES, EIO, EMSGSIZE
from functools import partial
from typing import Any, Final, Protocol

import msgspec

from syncline.kms_model.device import Device
from syncline.kms_model.errand import Errand, failure
from syncline.kms_model.file import File
from syncline.kms_model.loops import Loop
from syncline.kms_model.outbox import Outbox
from syncline.kms_model.packet import (
    ANCILLARY_SIZE,
    BATCH_MAX,
    PACKET_MAX,
    VERSION,
    Batch,
    BatchDone,
    Call,
    Done,
    Events,
    Failed,
    Hello,
    Interrupt,
    Welcome,
    close_all,
    decode_up,
    descriptors_in,
    encode,
    received,
    replace_descriptors,
)
from syncline.kms_model.task import Pending
from syncline.kms_model.uapi import DEBUG_NODE, DeviceError, Request

CALLS_MAX: Final = 256
"""Sleeping calls of one peer: more threads than a process would have in the kernel at once."""
_FLAGS: Final = int(socket.MSG_DONTWAIT | socket.MSG_CMSG_CLOEXEC)
_CUT: Final = int(socket.MSG_TRUNC | socket.MSG_CTRUNC)
_CREDENTIALS: Final = struct.Struct("3i")

_log = logging.getLogger(__name__)


class Service(Protocol):
    """What a peer needs of the node it is connected to."""

    @property
    def device(self) -> Device: ...

    @property
    def loop(self) -> Loop: ...

    @property
    def fence_property(self) -> int: ...

    @property
    def scratch(self) -> memoryview:
        """Where packets are received, one at a time."""
        ...

    def arm(self) -> None:
        """The device was entered: book its next deadline."""
        ...

    def forget(self, peer: "Peer") -> None: ...


class Peer:
    """Owns its socket, its open file, and every descriptor that arrived until the call it came for is done."""

    def __init__(self, service: Service, sock: socket.socket) -> None:
        self._service = service
        self._sock = sock
        self._outbox = Outbox(service.loop, sock, drained=self._listen_again)
        self._file: File | None = None
        self._calls: dict[int, Pending[Any]] = {}
        self._unread = 0
        self._closed = False
        service.loop.add_reader(sock.fileno(), self._read)

    def close(self) -> None:
        """What the kernel does when the last descriptor of an open file goes: everything the file had goes."""
        if self._closed:
            return
        self._closed = True
        service, file = self._service, self._file
        service.loop.remove_reader(self._sock.fileno())
        self._outbox.close()
        self._sock.close()
        service.forget(self)
        if file is not None:
            file.on_readable = None
            service.device.close(file, service.loop.now_ns())
            service.arm()

    def _read(self) -> None:
        """One packet, then others have their turn; none while the peer does not take its answers.

        Callers wait for their answers, so there is hardly ever a second.
        """
        if self._outbox.backlog:
            self._service.loop.remove_reader(self._sock.fileno())
            return
        scratch = self._service.scratch
        try:
            size, ancillary, flags, _ = self._sock.recvmsg_into([scratch], ANCILLARY_SIZE, _FLAGS)
        except BlockingIOError:
            return
        except OSError:  # reset: it died with our packets unread
            self.close()
            return
        fds = received(ancillary) if ancillary else []
        if flags & _CUT:
            close_all(fds)
            self._expel("too large a packet" if flags & socket.MSG_TRUNC else "too many descriptors")
        elif size:
            self._take(scratch[:size], fds)
        else:
            close_all(fds)
            self.close()

    def _listen_again(self) -> None:
        self._service.loop.add_reader(self._sock.fileno(), self._read)
        self._push_events()

    def _expel(self, reason: str) -> None:
        """It does not speak our language. Only this peer is disconnected, and it is said once."""
        _log.warning("process %d disconnected: %s", self._credentials()[0], reason)
        self.close()

    def _credentials(self) -> tuple[int, int, int]:
        """Process, user and group, as they were when it connected."""
        packed = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        pid, uid, gid = _CREDENTIALS.unpack(packed)
        return pid, uid, gid

    def _take(self, data: memoryview, fds: list[int]) -> None:
        try:
            packet = decode_up(data)
        except msgspec.DecodeError as error:
            close_all(fds)
            self._expel(str(error))
            return
        match packet:
            case Call() if self._file is not None and self._fits(packet, fds):
                self._adopt(self._file, packet, (packet.request,), fds)
                self._call(packet.serial, packet.request, fds)
                self._service.device.settle()
                self._service.arm()
            case Batch() if self._file is not None and self._fits(packet, fds):
                self._adopt(self._file, packet, packet.requests, fds)
                self._run(Errand(packet.serial, fds, deque(packet.requests)))
                self._service.arm()
            case Interrupt() if self._file is not None and not fds:
                self._interrupt(packet.serial)
            case Hello() if self._file is None and not fds and packet.version == VERSION:
                self._open(packet)
            case _:
                close_all(fds)
                self._expel(f"{type(packet).__name__} out of place or over a limit")

    def _fits(self, packet: Call[Any] | Batch[Any], fds: list[int]) -> bool:
        """As many descriptors as it says, nothing twice, and within the limits."""
        return (
            len(packet.lent) == len(fds)
            and (not fds or len(set(packet.lent)) == len(fds))
            and packet.serial not in self._calls
            and len(self._calls) < CALLS_MAX
            and 0 <= packet.events_read <= self._unread
            and (isinstance(packet, Call) or 0 < len(packet.requests) <= BATCH_MAX)
        )

    def _adopt(
        self, file: File, packet: Call[Any] | Batch[Any], requests: Sequence[Request[Any]], fds: list[int]
    ) -> None:
        """Take over what came with the requests: descriptors, and the room of events that the caller has read."""
        if packet.events_read:
            self._unread -= packet.events_read
            file.cancel_event(packet.events_read)
        mine = dict(zip(packet.lent, fds, strict=True)) if fds else {}
        for request in requests:
            replace_descriptors(request, mine, self._service.fence_property)

    def _open(self, hello: Hello) -> None:
        service = self._service
        service.device.advance(service.loop.now_ns())
        try:
            self._file = self._opened(hello.node)
        except DeviceError as error:
            self._outbox.send(encode(failure(0, error)))
        else:
            self._file.on_readable = self._push_events
            self._file.label = f"pid {self._credentials()[0]}"
            self._outbox.send(encode(Welcome(service.fence_property)))
        service.arm()

    def _opened(self, node: str) -> File:
        if node == DEBUG_NODE and self._credentials()[1] not in {0, os.geteuid()}:
            raise DeviceError(EACCES, "the debug node is for the owner of the device")
        return self._service.device.open(node)

    def _start(self, request: Request[Any]) -> Pending[Any]:
        device = self._service.device
        assert self._file is not None, "Hello came first"
        try:
            return device.enter(self._file, request, self._service.loop.now_ns())
        except OSError as error:  # this process ran out of descriptors or memory, as a kernel may
            return Pending.failed(DeviceError(error.errno or EIO, str(error)))

    def _call(self, serial: int, request: Request[Any], lent: list[int]) -> None:
        """The caller goes on with its answer while kernel workers do what it has left them."""
        pending = self._start(request)
        if pending.done:
            self._answer(serial, lent, pending)
        else:
            self._calls[serial] = pending
            pending.add_done_callback(partial(self._end_sleep, serial, lent))

    def _end_sleep(self, serial: int, lent: list[int], pending: Pending[Any]) -> None:
        """From inside the device: nothing may be asked of it here."""
        del self._calls[serial]
        self._answer(serial, lent, pending)

    def _answer(self, serial: int, lent: list[int], pending: Pending[Any]) -> None:
        try:
            reply = pending.result()
        except DeviceError as error:
            self._send(failure(serial, error))
        else:
            given = descriptors_in(reply, 0)
            self._send(Done(serial, reply, tuple(given)) if given else Done(serial, reply), given)
        if lent:
            close_all(lent)

    def _run(self, errand: Errand) -> None:
        """Do what is left of a batch, until it sleeps or fails."""
        while errand.requests and errand.failed is None and not self._closed:
            pending = self._start(errand.requests.popleft())
            self._service.device.settle()
            if not pending.done:
                self._calls[errand.serial] = pending
                pending.add_done_callback(partial(self._continue_later, errand))
                return
            errand.note(pending)
        close_all(errand.lent)
        self._send(
            BatchDone(errand.serial, tuple(errand.replies), errand.failed, tuple(errand.given)), errand.given
        )

    def _continue_later(self, errand: Errand, pending: Pending[Any]) -> None:
        """The device is busy finishing a call: it may not be entered before it is done with that."""
        self._service.loop.call_soon(partial(self._continue, errand, pending))

    def _continue(self, errand: Errand, pending: Pending[Any]) -> None:
        self._calls.pop(errand.serial, None)
        errand.note(pending)
        self._run(errand)
        self._service.arm()

    def _interrupt(self, serial: int) -> None:
        """Too late is no mistake: the answer is on its way."""
        pending = self._calls.get(serial)
        if pending is not None:
            pending.interrupt()
            self._service.device.advance(self._service.loop.now_ns())
            self._service.arm()

    def _push_events(self) -> None:
        """Send them on, but count their room as taken until the caller has read them, as in drm_read."""
        file = self._file
        if file is None or self._outbox.backlog or not (events := file.read_events()):
            return
        file.reserve_event(len(events))
        self._unread += len(events)
        self._outbox.send(encode(Events(tuple(events))))

    def _send(self, packet: Done[Any] | BatchDone[Any] | Failed, fds: Sequence[int] = ()) -> None:
        data = encode(packet)
        if self._closed:
            close_all(fds)
        elif len(data) > PACKET_MAX:
            close_all(fds)
            self._outbox.send(encode(Failed(packet.serial, EMSGSIZE, "the reply is too long for a packet")))
        else:
            self._outbox.send(data, fds)
