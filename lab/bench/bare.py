"""The yardsticks: what two or three processes can do with bare sockets and eventfds."""

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from syncline.lab.bench.clock import Action


class Cores(NamedTuple):
    """Where processes run. Between two cores a wake-up costs many times what it costs on one."""

    name: str
    caller: int
    server: int


def placements() -> list[Cores]:
    """All on one core; and, where there are two, the server on the other."""
    first, *others = sorted(os.sched_getaffinity(0))
    return [Cores("one core", first, first), *(Cores("two cores", first, other) for other in others[:1])]


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """This process on that core, for the length of the block."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def child(body: Callable[[], None], *, core: int) -> Iterator[None]:
    """Run `body` in a forked process on `core` until the block is left."""
    pid = os.fork()
    if pid == 0:
        try:
            os.sched_setaffinity(0, {core})
            body()
        finally:
            os._exit(0)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@contextmanager
def ping_pong(request: bytes, reply: bytes, *, with_fd: bool, cores: Cores) -> Iterator[Action]:
    """A SEQPACKET round trip of these payloads with nothing in between. `with_fd`: one descriptor goes along."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    fd = os.eventfd(0)

    def echo() -> None:
        buffer = bytearray(len(request))
        while True:
            if with_fd:
                _, (passed,), _, _ = socket.recv_fds(theirs, len(request), 1)
                os.close(passed)
            else:
                theirs.recv_into(buffer)
            theirs.send(reply)

    def ask() -> None:
        if with_fd:
            socket.send_fds(ours, [request], [fd])
        else:
            ours.send(request)
        ours.recv(len(reply))

    with ours, theirs, child(echo, core=cores.server):
        yield ask
    os.close(fd)


@contextmanager
def relay(cores: Cores) -> Iterator[Action]:
    """An eventfd rung here, passed on by a third process, answered by a second one."""
    to_relay, to_waker, back = (os.eventfd(0) for _ in range(3))

    def pass_on() -> None:
        while True:
            os.eventfd_read(to_relay)
            os.eventfd_write(to_waker, 1)

    def ring() -> None:
        os.eventfd_write(to_relay, 1)
        os.eventfd_read(back)

    with child(pass_on, core=cores.server), child(lambda: answer(to_waker, back), core=cores.caller):
        yield ring
    for fd in (to_relay, to_waker, back):
        os.close(fd)


def answer(awaited: int, back: int, *, times: int | None = None) -> None:
    """For every ring of `awaited` one of `back`; for ever, or so many times."""
    answered = 0
    while times is None or answered < times:
        rings = os.eventfd_read(awaited)
        for _ in range(rings):
            os.eventfd_write(back, 1)
        answered += rings
