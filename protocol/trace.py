"""Traces: every message in and out as a value, and as a line in the notation of WAYLAND_DEBUG."""

from collections.abc import Callable
from dataclasses import dataclass

from syncline.protocol.schema import Message


@dataclass(frozen=True, slots=True)
class Said:
    """One message, seen on its way in or out. Time is the observer's to add: a connection has no clock."""

    connection: str
    incoming: bool
    object_id: int
    message: Message
    arguments: tuple[object, ...]
    discarded: bool = False  # it came for an object that this side had ended


Observer = Callable[[Said], None]


def line(said: Said, t_ns: int) -> str:
    """`[   1234.567]  -> wl_surface#7.damage(0, 0, 10, 10)`: as libwayland 1.26 prints it."""
    raise NotImplementedError
