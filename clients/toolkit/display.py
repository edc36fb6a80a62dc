"""A connection to the compositor: its globals, its round trips, and its last words in plain language."""

from collections.abc import Callable
from types import TracebackType
from typing import Final, Self, TypeVar

from syncline.clients.toolkit.loop import ClientError, Context
from syncline.kms_model.loops import NS_PER_S
from syncline.protocol.display import Display as WlDisplay, Registry
from syncline.protocol.errors import ProtocolError
from syncline.protocol.object import Proxy
from syncline.protocol.schema import interface
from syncline.protocol.transport.link import Link

FAREWELL_NS: Final = NS_PER_S

P = TypeVar("P", bound=Proxy)


class Display:
    """Enter it to connect; leaving it hangs up."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self._wl = WlDisplay.connect(wire=context.wire, observer=context.observer)
        self._link = Link(context.loop, self._wl.connection, context.transport, self._closed)
        self._registry = self._wl.get_registry(Registry)
        self._bound: dict[type[Proxy], Proxy] = {}

    async def __aenter__(self) -> Self:
        await self.roundtrip()
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self.context.failed:
            return
        # The last answers (discarded, delete_id) are on their way; a compositor that hangs gets no more time.
        deadline_ns = self.context.now_ns() + FAREWELL_NS
        await self.context.until(self.ask(), deadline_ns=deadline_ns, ending=True)
        self._link.close()

    def offers(self, kind: type[Proxy]) -> bool:
        return any(name == kind.interface for name, _ in self._registry.globals.values())

    def bind(self, kind: type[P]) -> P:
        """The global of that class, bound once, at the highest version that both sides know.

        Raises ClientError when the compositor does not offer it.
        """
        known = self._bound.get(kind)
        if known is None:
            if not self.offers(kind):
                raise ClientError(f"the compositor does not offer {kind.interface}, which this demo needs")
            known = self._bound[kind] = self._registry.bind_first(kind)
        assert isinstance(known, kind)
        return known

    async def roundtrip(self) -> None:
        """Until the compositor has answered everything asked so far."""
        await self.context.until(self.ask())

    def ask(self) -> Callable[[], bool]:
        """Ask for a sign that everything before it has been heard; what it gives says whether it came."""
        answered: list[int] = []

        def hear(serial: int) -> None:
            answered.append(serial)
            self.context.beat()

        self._wl.sync(hear)
        return lambda: bool(answered)

    def flush(self) -> None:
        """Send now what is waiting, before the turn ends."""
        self._link.flush()

    def _closed(self, reason: str) -> None:
        error = self._wl.connection.error
        text = describe(error) if error else f"the compositor closed the connection ({reason})"
        self.context.fail(ClientError(text))


def describe(error: ProtocolError) -> str:
    """A protocol error with the name that the XML gives its code."""
    enums = interface(error.interface).enums if error.interface else {}
    names = {
        member.value: member.name for kind, members in enums.items() if kind == "error" for member in members
    }
    name = names.get(error.code, "unknown code")
    return f"the compositor refused: {error.interface}#{error.object_id}, error {error.code} ({name}): {error.text}"
