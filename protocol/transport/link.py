"""A connection on a transport: what comes in is dispatched, what is said is flushed once per loop turn."""

from collections.abc import Callable

from syncline.protocol.connection import Connection
from syncline.protocol.transport import Loop, Transport


class Link:
    """Runs a connection until either side ends it. `on_closed(reason)` comes after every object's `on_destroyed`."""

    def __init__(
        self, loop: Loop, connection: Connection, transport: Transport, on_closed: Callable[[str], None]
    ) -> None:
        raise NotImplementedError

    def flush(self) -> None:
        """Send what is waiting now, not at the end of the turn."""
        raise NotImplementedError

    def close(self) -> None:
        """Flush and hang up."""
        raise NotImplementedError
