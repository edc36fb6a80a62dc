"""Objects of any interface that remember what they heard: the suite judges, so it must not interpret."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from syncline.protocol import schema
from syncline.protocol.fd import ReceivedFd
from syncline.protocol.object import NewId, Proxy, method_name


@dataclass(frozen=True, slots=True)
class Heard:
    """One event, and when it was read."""

    event: str
    arguments: tuple[Any, ...]
    t_ns: int


class Thing(Proxy):
    """A proxy that keeps every event. `hooks` are called for events by name, with their arguments."""

    def __init__(self, new: NewId, clock: Callable[[], int]) -> None:
        super().__init__(new)
        self.clock = clock
        self.heard: list[Heard] = []
        self.hooks: dict[str, Callable[..., object]] = {}

    def make(self, request: str, *arguments: object) -> "Thing":
        """The object that a request makes; `arguments` are the request's others."""
        message = schema.interface(self.interface).request(request)
        typed = message.new_id()
        assert typed is not None, f"{message} makes nothing"
        assert typed.interface is not None, f"{message} makes anything"
        kind = thing(typed.interface)
        return self.request_new(request, lambda new: kind(new, self.clock), *arguments)

    def count(self, event: str) -> int:
        return sum(each.event == event for each in self.heard)

    def last(self, event: str) -> tuple[Any, ...] | None:
        """The arguments of the latest such event."""
        return next((each.arguments for each in reversed(self.heard) if each.event == event), None)


def _recorder(event: str) -> Callable[..., None]:
    def record(self: Thing, *arguments: object) -> None:
        kept = tuple(_kept(self, each) for each in arguments)
        self.heard.append(Heard(event, kept, self.clock()))
        if event in self.hooks:  # which may take descriptors, and else they are closed
            self.hooks[event](*arguments)

    return record


def _kept(parent: Thing, argument: object) -> object:
    """Objects that an event makes are things, too; of descriptors only the number."""
    match argument:
        case NewId(interface=interface):
            return thing(interface)(argument, parent.clock)
        case ReceivedFd():
            return argument.fileno()
        case _:
            return argument


@cache
def thing(interface: str) -> type[Thing]:
    """The class of things with that interface."""
    events = schema.interface(interface).events
    methods = {method_name(each.name): _recorder(each.name) for each in events}
    return type(f"Thing_{interface}", (Thing,), {"interface": interface, **methods})
