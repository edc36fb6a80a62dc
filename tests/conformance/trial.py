"""A trial: one case against one compositor. It waits, it judges, and it remembers what was said."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from random import Random
from typing import Any, Final

from syncline.conformance.client import Client
from syncline.conformance.device import Device, Faults
from syncline.conformance.provider import OTHER_NODE
from syncline.conformance.target import Eye, Line, Stand
from syncline.conformance.verdict import Failure, Skip
from syncline.kms_model.uapi import DEBUG_NODE
from syncline.protocol.trace import Said, line

NS_PER_MS: Final = 1_000_000
PATIENCE_NS: Final = 2_000 * NS_PER_MS
"""How long anything may take that has to happen."""
QUIET_NS: Final = 500 * NS_PER_MS
"""How long nothing has to happen before we believe that it does not."""
STANDSTILL_NS: Final = 250 * NS_PER_MS
"""An alarm that comes this late: the machine stood still, and the compositor has had no time either."""
STANDSTILLS_MAX: Final = 10
"""In one wait; who stands still more often is not to be measured."""
MESSAGES_MAX: Final = 20_000

NO_OTHER_LINE: Final = "two wires to one compositor, which a Syncline of our own has"
NO_COMPOSITOR: Final = "a compositor that answers: a case before has ended or stopped it"
NO_FAULTS: Final = "a machine that fails on demand: a device node that was started with --allow-faults"
NO_OTHER_DEVICE: Final = "a second GPU in the compositor's machine: a Syncline in this process (--virtual)"
NO_EYE: Final = "somebody who looks at the screens: a Syncline in this process (--virtual)"
NO_DEVICE: Final = (
    "a device for the tester: no render node with timeline syncobjs in /dev/dri, and --device names no other"
)


class Trial:
    """What a case is given. Everything that it opens here ends with it."""

    def __init__(self, stand: Stand, *, seed: int = 0) -> None:
        self.stand = stand
        self.loop = stand.loop
        self.random = Random(seed)
        self.notes: list[str] = []
        self.clients: list[Client] = []
        self._said: deque[tuple[int, Said]] = deque(maxlen=MESSAGES_MAX)
        self._devices: dict[str, Device] = {}
        self._faults: Faults | None = None
        self._is_ended = False
        self._pulse = asyncio.Event()
        self._fault: BaseException | None = None
        self.loop.set_exception_handler(self._catch)

    # Who takes part.

    def client(self, name: str = "client", *, line: Line | None = None) -> Client:
        """A connection of its own, its globals known."""
        line = line or self.stand
        try:
            transport = line.connect()
        except OSError as error:
            raise Failure(f"the compositor takes no connection: {error.strerror}") from error
        client = Client(self, transport, wire=line.new_wire(), name=name)
        self.clients.append(client)
        client.get_acquainted()
        return client

    @property
    def lines(self) -> tuple[Line, Line]:
        """Both ways to the compositor. Raises Skip when there is one only."""
        other = self.stand.other_line()
        if other is None:
            raise Skip(NO_OTHER_LINE)
        return self.stand, other

    @property
    def device(self) -> Device:
        """The tester's own device. Raises Skip when there is none."""
        return self.device_by("card")

    @property
    def other_device(self) -> Device:
        """A second GPU, which is not the compositor's. Raises Skip when there is none."""
        return self.device_by(OTHER_NODE, otherwise=NO_OTHER_DEVICE)

    def device_by(self, node: str, *, otherwise: str = NO_DEVICE) -> Device:
        """The same by another node of it, "card" or "render"."""
        if node not in self._devices:
            file = self.stand.open_device(node)
            if file is None:
                raise Skip(otherwise)
            self._devices[node] = Device(file, self)
        return self._devices[node]

    @property
    def faults(self) -> Faults:
        """What can be made to go wrong. Raises Skip when nothing can."""
        if self._faults is None:
            file = self.stand.open_device(DEBUG_NODE)
            if file is None:
                raise Skip(NO_FAULTS)
            self._faults = Faults(file)
        return self._faults

    @property
    def eye(self) -> Eye:
        """What the display shows. Raises Skip when nobody looks at it."""
        eye = self.stand.eye()
        if eye is None:
            raise Skip(NO_EYE)
        return eye

    def require(self, needs: Sequence[str], *, device: bool) -> None:
        """Raises Skip unless there is a device, and a compositor with these globals: `interface[:version]`."""
        if device:
            _ = self.device
        try:
            offered = dict(self.client("look").registry.globals.values())
        except Failure:
            raise Skip(NO_COMPOSITOR) from None
        self.clients.pop().close()
        for need in needs:
            interface, _, version = need.partition(":")
            if offered.get(interface, 0) < int(version or 1):
                raise Skip(f"{interface} version {version}" if version else interface)

    # Time.

    def now_ns(self) -> int:
        return self.loop.now_ns()

    def beat(self) -> None:
        """Something happened: whoever waits looks again."""
        self._pulse.set()

    def until(self, condition: Callable[[], bool], *, within_ns: int = PATIENCE_NS) -> bool:
        """Let the world go on until the condition holds; whether it did in time. After a standstill time begins anew."""
        for _ in range(STANDSTILLS_MAX):
            deadline_ns = self.now_ns() + within_ns
            if self.loop.run_until_complete(self._until(condition, deadline_ns)):
                return True
            if self.now_ns() - deadline_ns < STANDSTILL_NS:
                break
        return False

    def pass_ms(self, ms: float) -> None:
        """Let time pass."""
        self.until(lambda: False, within_ns=round(ms * NS_PER_MS))

    async def _until(self, condition: Callable[[], bool], deadline_ns: int) -> bool:
        alarm = self.loop.call_at_ns(deadline_ns, self.beat)
        try:
            while True:
                self._pulse.clear()
                for client in self.clients:
                    client.flush()
                if self._fault is not None:
                    raise self._fault
                if condition():
                    return True
                if self.now_ns() >= deadline_ns:
                    return False
                await self._pulse.wait()
        finally:
            alarm.cancel()

    def _catch(self, _loop: object, context: dict[str, Any]) -> None:
        self._fault = self._fault or context.get("exception") or RuntimeError(context["message"])
        self.beat()

    # Judging.

    def expect(self, condition: Callable[[], bool], what: str, *, within_ns: int = PATIENCE_NS) -> None:
        """It has to come true in time, and nobody may be thrown out meanwhile. Raises Failure."""
        self.until(lambda: condition() or self._casualty() is not None, within_ns=within_ns)
        if not condition():
            self._check_casualties(what)
            raise Failure(f"{within_ns // NS_PER_MS} ms and not yet: {what}")

    def never(self, condition: Callable[[], bool], what: str, *, for_ns: int = QUIET_NS) -> None:
        """It must not come true for a while. Raises Failure."""
        began_ns = self.now_ns()
        if self.until(lambda: condition() or self._casualty() is not None, within_ns=for_ns):
            self._check_casualties(f"no {what}")
            raise Failure(f"{(self.now_ns() - began_ns) / NS_PER_MS:.0f} ms and already: {what}")

    def check(self, holds: bool, otherwise: str) -> None:
        """Raises Failure with that text unless it holds."""
        if not holds:
            raise Failure(otherwise)

    def note(self, text: str) -> None:
        """Something worth telling next to the verdict."""
        self.notes.append(text)

    def _casualty(self) -> Client | None:
        return next((each for each in self.clients if each.is_over), None)

    def _check_casualties(self, expected: str) -> None:
        casualty = self._casualty()
        if casualty is not None:
            raise Failure(f"{casualty.end}; expected: {expected}")

    # The end.

    def end_compositor(self) -> None:
        """It goes in order; nobody is to blame for the connections lost. Raises Skip when it is not ours to end."""
        self.stand.end()
        self._is_ended = True
        for client in self.clients:
            client.forgiven = True

    def finish(self) -> None:
        """Nobody was thrown out who had not been expected to be, and the compositor still answers."""
        self._check_casualties("no error")
        self._hang_up()
        if not self._is_ended:
            self.client("after").roundtrip()

    def close(self) -> None:
        """Hang up and give the device back, whatever became of the case."""
        with suppress(Exception):  # it is over; its verdict has been taken
            self._hang_up()
        if self._faults is not None:
            self._faults.close()
        for device in self._devices.values():
            device.close()
        self.loop.set_exception_handler(None)

    def _hang_up(self) -> None:
        for client in self.clients:
            client.close()
        self.clients.clear()

    @property
    def said(self) -> list[Said]:
        """Every message, in order."""
        return [said for _, said in self._said]

    def overhear(self, said: Said) -> None:
        """Remember a message."""
        self._said.append((self.now_ns(), said))

    def transcript(self) -> list[str]:
        """What was said, a line each, in WAYLAND_DEBUG's words."""
        return [line(said, t_ns) for t_ns, said in self._said]
