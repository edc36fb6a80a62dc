"""A server and a client with no transport between them: two connections and a pump."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import pytest

from syncline.protocol.connection import Connection, Limits
from syncline.protocol.display import Display, Global, Globals, Registry, serve


@dataclass
class Talk:
    """Both ends, and what moves messages between them."""

    globals_: Globals
    server: Connection
    display: Display
    registry: Registry = field(init=False)

    def __post_init__(self) -> None:
        self.registry = self.display.get_registry(Registry)
        self.pump()

    @property
    def client(self) -> Connection:
        return self.display.connection

    def to_server(self) -> None:
        for data, fds in self.client.take_output():
            self.server.receive(data, fds)

    def to_client(self) -> None:
        for data, fds in self.server.take_output():
            self.client.receive(data, fds)

    def pump(self) -> None:
        """Until neither has anything to say."""
        while (said := self.client.take_output()) or (heard := self.server.take_output()):
            for data, fds in said:
                self.server.receive(data, fds)
            for data, fds in [] if said else heard:
                self.client.receive(data, fds)


@pytest.fixture
def converse() -> Iterator[Callable[..., Talk]]:
    """Make both ends of a connection to a server with these globals."""
    talks: list[Talk] = []

    def begin(offers: Sequence[Global], **options: Limits) -> Talk:
        globals_ = Globals(offers)
        talks.append(Talk(globals_, serve(globals_, **options), Display.connect()))
        return talks[-1]

    yield begin
    for talk in talks:
        talk.client.hang_up()
        talk.server.hang_up()
