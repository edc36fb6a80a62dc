"""Ping and pong: a client that does not answer is marked, never punished; a waiting client still answers (X5)."""

from typing import Final

from syncline.protocol.object import Resource

PATIENCE_NS: Final = 10_000_000_000


class Pulse:
    """One client's. At most one ping is on its way."""

    def __init__(self) -> None:
        self.bases: list[Resource] = []
        self.is_unresponsive = False
        self._serial: int | None = None
        self.deadline_ns: int | None = None
        """When `tick` wants to be called."""

    def ping(self, serial: int, now_ns: int) -> None:
        """Ask, if there is somebody to ask and the last question was answered."""
        if self._serial is None and self.bases:
            self._serial = serial
            self.deadline_ns = now_ns + PATIENCE_NS
            self.bases[0].send("ping", serial)

    def answered(self, serial: int) -> None:
        """A pong. One that nobody asked for means nothing."""
        if serial == self._serial:
            self._serial = self.deadline_ns = None
            self.is_unresponsive = False

    def tick(self, now_ns: int) -> None:
        if self.deadline_ns is not None and now_ns >= self.deadline_ns:
            self.deadline_ns = None
            self.is_unresponsive = True
