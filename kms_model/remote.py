"""The device node from the other side of its socket: the same `DeviceFile` as a local one.

A call is a blocking round trip, as an ioctl is; `wait` leaves the loop free meanwhile. One file belongs to one
thread, as its replies and events arrive on one socket; a process opens as many files as it likes.
"""

import asyncio
import os
import select
import socket
from collections.abc import Sequence
from errno import E2BIG, EBADF, EMSGSIZE, ENODEV
from itertools import count
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from syncline.kms_model.beacon import Beacon
from syncline.kms_model.descriptors import is_open
from syncline.kms_model.loops import monotonic_ns
from syncline.kms_model.outcome import Outcome, outcome_of
from syncline.kms_model.packet import (
    ANCILLARY_SIZE,
    BATCH_MAX,
    FDS_MAX,
    PACKET_MAX,
    VERSION,
    Batch,
    BatchDone,
    Call,
    Done,
    Down,
    Events,
    Failed,
    Hello,
    Interrupt,
    Up,
    Welcome,
    close_all,
    decode_down,
    descriptors_in,
    encode,
    received,
    rights,
)
from syncline.kms_model.uapi import DeviceError, Event, Fd, Request

R = TypeVar("R")

_SEND_FLAGS: Final = int(socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
_BLOCKING: Final = int(socket.MSG_CMSG_CLOEXEC)
_POLLING: Final = int(socket.MSG_CMSG_CLOEXEC | socket.MSG_DONTWAIT)


class RemoteFile:
    """One open of a device node. Raises OSError when nobody serves `path`, DeviceError when it has no such node.

    When the node dies every call, present and future, ends with DeviceError(ENODEV), and `fileno` is readable.
    """

    def __init__(self, path: Path, node: str = "card") -> None:
        self._sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._buffer = memoryview(bytearray(PACKET_MAX))
        self._serials = count(1)
        self._fence_property = 0
        self._asked: dict[int, Sequence[Request[Any]]] = {}
        self._outcomes: dict[int, Outcome] = {}
        self._sleepers: dict[int, asyncio.Future[None]] = {}
        self._events: list[Event] = []
        self._events_read = 0
        self._beacon: Beacon | None = None
        self._lost = False
        self.answered_ns = 0
        try:
            self._sock.connect(str(path))
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, PACKET_MAX)
            self._greet(node)
        except (OSError, DeviceError):
            self._sock.close()
            raise

    def call(self, request: Request[R]) -> R:
        """A blocking ioctl. E2BIG: larger than a packet (PACKET_MAX). ENODEV: the node is gone."""
        outcome = self._ask((request,))
        if outcome.error is not None:
            raise outcome.error
        reply: R = outcome.replies[0]
        return reply

    def batch(self, requests: Sequence[Request[Any]]) -> tuple[list[Any], DeviceError | None]:
        """Several calls in one round trip. The first that fails is the last: its error, and the replies before."""
        if not requests:
            return [], None
        outcome = self._ask(requests)
        return outcome.replies, outcome.error

    async def wait(self, request: Request[R]) -> R:
        """A call that may sleep, without blocking the running loop. Cancelling interrupts it."""
        serial = self._post((request,))
        loop = asyncio.get_running_loop()
        if not self._sleepers:
            loop.add_reader(self._sock.fileno(), self._wake_sleepers)
        sleeper = self._sleepers[serial] = loop.create_future()
        try:
            await sleeper
        except asyncio.CancelledError:
            self._abandon(serial)
            raise
        finally:
            del self._sleepers[serial]
            if not self._sleepers:
                loop.remove_reader(self._sock.fileno())
        outcome = self._outcomes.pop(serial)
        if outcome.error is not None:
            raise outcome.error
        reply: R = outcome.replies[0]
        return reply

    def read_events(self) -> list[Any]:
        """What has come, in order. ENODEV: the node is gone, and nothing is left."""
        while self._take(blocking=False):
            pass
        events, self._events = self._events, []
        self._events_read += len(events)
        if self._beacon is not None:
            self._beacon.lower()
        if self._lost and not events:
            raise _gone()
        return events

    def fileno(self) -> int:
        """Readable for what is in the socket, and for events that a call took out of it on the way."""
        if self._beacon is None:
            self._beacon = Beacon(self._sock)
            self._announce()
        return self._beacon.fileno()

    def close_fd(self, fd: Fd) -> None:
        os.close(fd)

    def close(self) -> None:
        """Close the file, as the last close(2) does. Calls that still sleep end with ENODEV."""
        self._lose()
        self._sock.close()
        if self._beacon is not None:
            self._beacon.close()
            self._beacon = None

    def _greet(self, node: str) -> None:
        self._send(Hello(VERSION, node), [])
        welcome = self._receive(blocking=True)
        if isinstance(welcome, tuple) and isinstance(welcome[0], Welcome):
            self._fence_property = welcome[0].fence_property
            return
        if isinstance(welcome, tuple) and isinstance(welcome[0], Failed):
            raise DeviceError(welcome[0].errno, welcome[0].why)
        raise _gone()

    def _ask(self, requests: Sequence[Request[Any]]) -> Outcome:
        """Post and block until the answer is there, whatever else comes before it."""
        serial = self._post(requests)
        try:
            while serial not in self._outcomes:
                self._take(blocking=True)
        except BaseException:  # KeyboardInterrupt: a signal for the caller in the kernel
            self._abandon(serial)
            raise
        self.answered_ns = monotonic_ns()
        if self._events:
            self._announce()
        return self._outcomes.pop(serial)

    def _post(self, requests: Sequence[Request[Any]]) -> int:
        """Send requests; the outcome comes under the serial returned."""
        if len(requests) > BATCH_MAX:
            raise DeviceError(E2BIG, f"more than {BATCH_MAX} calls in a batch")
        serial = next(self._serials)
        fds: list[int] = []
        for request in requests:
            fds += descriptors_in(request, self._fence_property)
        if fds:
            fds = list(dict.fromkeys(fds))
            if len(fds) > FDS_MAX:
                raise DeviceError(E2BIG, f"more than {FDS_MAX} descriptors in a call")
        try:
            self._send(self._packet(serial, requests, fds), fds)
        except OSError as error:
            if error.errno != EBADF:
                raise
            fds = [fd for fd in fds if is_open(fd)]  # the device says what it thinks of the others
            self._send(self._packet(serial, requests, fds), fds)
        self._asked[serial] = requests
        self._events_read = 0
        return serial

    def _packet(self, serial: int, requests: Sequence[Request[Any]], fds: list[int]) -> Up:
        if len(requests) == 1:
            return Call(serial, requests[0], tuple(fds), self._events_read)
        return Batch(serial, tuple(requests), tuple(fds), self._events_read)

    def _abandon(self, serial: int) -> None:
        """Nobody waits for this any more: interrupt it, and close what it may still bring."""
        outcome = self._outcomes.pop(serial, None)
        if outcome is not None:
            close_all(fd for reply in outcome.replies for fd in descriptors_in(reply, 0))
        elif self._asked.pop(serial, None) is not None and not self._lost:
            self._send(Interrupt(serial), [])

    def _send(self, packet: Up, fds: Sequence[int]) -> None:
        """Raises DeviceError, and OSError(EBADF) for a closed descriptor among `fds`."""
        data = encode(packet)
        if len(data) > PACKET_MAX:
            raise DeviceError(E2BIG, f"{len(data)} bytes are more than a packet takes ({PACKET_MAX})")
        while not self._lost:
            try:
                if fds:
                    self._sock.sendmsg((data,), rights(fds), _SEND_FLAGS)
                else:
                    self._sock.send(data, _SEND_FLAGS)
            except BlockingIOError:
                self._make_room()
            except OSError as error:
                if error.errno == EBADF:
                    raise
                if error.errno == EMSGSIZE:
                    raise DeviceError(E2BIG, "the socket buffer is smaller than the packet") from error
                self._lose()
            else:
                return
        raise _gone()

    def _make_room(self) -> None:
        """The node takes nothing before we have taken what it sent."""
        poll = select.poll()
        poll.register(self._sock, select.POLLIN | select.POLLOUT)
        (_, ready), *_ = poll.poll()
        if ready & select.POLLIN:
            self._take(blocking=False)

    def _receive(self, *, blocking: bool) -> tuple[Down, list[int]] | None:
        """One packet and its descriptors; None when there is none now, or never again."""
        flags = _BLOCKING if blocking else _POLLING
        try:
            size, ancillary, _, _ = self._sock.recvmsg_into([self._buffer], ANCILLARY_SIZE, flags)
        except BlockingIOError:
            return None
        except OSError:
            size, ancillary = 0, []
        if not size:
            self._lose()
            return None
        return decode_down(self._buffer[:size]), received(ancillary) if ancillary else []

    def _take(self, *, blocking: bool) -> bool:
        """Take one packet off the socket and put it where it belongs. False: there was none."""
        if self._lost:
            return False
        arrived = self._receive(blocking=blocking)
        if arrived is None:
            return False
        packet, fds = arrived
        match packet:
            case Done() | BatchDone() | Failed():
                self._settle(packet, fds)
            case Events():
                self._events += packet.events
            case _:
                raise AssertionError("a node says Welcome only once")
        return True

    def _settle(self, answer: Done[msgspec.Raw] | BatchDone[msgspec.Raw] | Failed, fds: list[int]) -> None:
        """Decode at once: the buffer is used again for the next packet."""
        requests = self._asked.pop(answer.serial, None)
        if requests is None:
            close_all(fds)
            return
        self._outcomes[answer.serial] = outcome_of(requests, answer, fds)
        sleeper = self._sleepers.get(answer.serial)
        if sleeper is not None and not sleeper.done():
            sleeper.set_result(None)

    def _wake_sleepers(self) -> None:
        while self._take(blocking=False):
            pass
        if self._events:
            self._announce()

    def _announce(self) -> None:
        """Events were taken out of the socket by somebody who did not ask for them."""
        if self._events and self._beacon is not None:
            self._beacon.light()

    def _lose(self) -> None:
        """The node is gone, or we are: whoever waits hears ENODEV."""
        self._lost = True
        for serial in tuple(self._asked):
            del self._asked[serial]
            self._outcomes[serial] = Outcome([], _gone())
        for sleeper in self._sleepers.values():
            if not sleeper.done():
                sleeper.set_result(None)


def _gone() -> DeviceError:
    return DeviceError(ENODEV, "the device node is gone")
