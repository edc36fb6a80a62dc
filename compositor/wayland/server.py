"""The server: clients come and go, each input is dispatched, and what the core decided is told.

It waits for nothing and owns no socket: an edge hands it transports and calls `tick`, `device_event` and
`point_ready`. Each of these is one input; after it everything is drained, said and sent.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Final, assert_never

from syncline.compositor.core.compositor import Compositor
from syncline.compositor.core.effects import (
    BufferReleased,
    CaptureFailed,
    CaptureReady,
    Close,
    CommitReleased,
    Configure,
    ConfigurePopup,
    Discarded,
    Effect,
    EnterOutput,
    FrameDone,
    KeyboardFocus,
    LateViolation,
    LeaveOutput,
    OutputAdded,
    OutputRemoved,
    PointerButton,
    PointerFocus,
    PointerMotion,
    PopupDone,
    PreferredScale,
    Presented,
)
from syncline.compositor.core.output import Output
from syncline.compositor.core.report import ReportEvent, ViolationEvent
from syncline.compositor.wayland.delivery import tell_surface, tell_tokens, tell_window
from syncline.compositor.wayland.dmabuf_feedback import format_table
from syncline.compositor.wayland.focus import tell_seat
from syncline.compositor.wayland.globals import HIDDEN, offers, output_offer
from syncline.compositor.wayland.keymap import keymap_text
from syncline.compositor.wayland.memfd import Memfd
from syncline.compositor.wayland.session import Session, Stage
from syncline.kms_model.uapi import Event
from syncline.protocol.connection import Connection
from syncline.protocol.display import Globals, serve
from syncline.protocol.trace import Observer
from syncline.protocol.transport import Transport
from syncline.protocol.wire import Wire

TURN_NS: Final = 500_000
"""What one client may take of everybody's time before the others have their turn."""

SLICE_BYTES: Final = 256
"""How much is dispatched between two looks at the clock: an ordinary frame fits in one."""


@dataclass(eq=False, slots=True)
class _Line:
    """One client's whole path: its objects, its messages, its socket."""

    session: Session
    connection: Connection
    transport: Transport
    outputs: dict[Output, int]
    """Names of their globals with this client."""
    unread: bytes = b""
    """What it has said beyond its share of a turn; meanwhile its transport is paused."""


class Server:
    """`clock` tells the instant of an input, `settled` is called when all that it caused has been told.

    `later` calls back in another turn of the loop.
    """

    def __init__(
        self,
        core: Compositor,
        *,
        clock: Callable[[], int],
        caps: Mapping[str, int],
        report: Callable[[list[ReportEvent]], None],
        settled: Callable[[], None],
        later: Callable[[Callable[[], None]], object],
        observer: Observer | None = None,
    ) -> None:
        self._core = core
        self._clock = clock
        self._caps = {**caps, **HIDDEN[core.policy.sync]}
        self._report = report
        self._settled = settled
        self._later = later
        self._observer = observer
        self._numbers = count(1)
        self._lines: list[_Line] = []
        self._with_output: list[_Line] = []
        self._stage = Stage(
            core=core,
            now_ns=clock(),
            keymap=Memfd("syncline-keymap", keymap_text()),
            format_table=Memfd("syncline-formats", format_table()),
        )

    # -- inputs -----------------------------------------------------------------------------------

    def accept(self, transport: Transport, *, wire: Wire | None = None) -> None:
        """A client has connected, and speaks `wire` (None: Wayland's own). The transport is ours from here on."""
        self._begin()
        client = self._core.add_client(f"client-{next(self._numbers)}")
        globals_ = Globals()
        session = Session(stage=self._stage, client=client, globals=globals_)
        for offer in offers(session, self._caps):
            globals_.add(offer)
        connection = serve(globals_, wire=wire, name=client.name, observer=self._observer)
        line = _Line(session, connection, transport, {})
        self._lines.append(line)
        self._stage.sessions[client] = session
        for output in self._core.outputs:
            self._offer_output(line, output)
        connection.call_on_output(partial(self._with_output.append, line))
        transport.start(partial(self._receive, line), lambda _: self._leave(line))
        self.settle()

    def device_event(self, event: Event) -> None:
        """One of `DeviceFile.read_events`."""
        self._begin()
        self._core.device_event(event, self._stage.now_ns)
        self.settle()

    def point_ready(self, watch: int) -> None:
        """A watched point's eventfd fired."""
        self._begin()
        self._core.point_ready(watch, self._stage.now_ns)
        self.settle()

    def tick(self) -> None:
        """Some deadline has come."""
        self._begin()
        self._core.tick(self._stage.now_ns)  # first: nobody waits for the rest
        for line in self._lines:
            line.session.pulse.tick(self._stage.now_ns)
        self.settle()

    def next_deadline_ns(self) -> int | None:
        """When `tick` wants to be called."""
        next_ns = self._core.next_deadline_ns()
        for line in self._lines:
            due_ns = line.session.pulse.deadline_ns
            if due_ns is not None and (next_ns is None or due_ns < next_ns):
                next_ns = due_ns
        return next_ns

    def close(self) -> None:
        """Hang up on everybody. The core is closed by whoever made it."""
        self._begin()
        for line in list(self._lines):
            self._drop(line)
        self.settle()
        self._stage.keymap.close()
        self._stage.format_table.close()

    # -- what follows an input --------------------------------------------------------------------

    def settle(self) -> None:
        """Drain, tell and send until nothing is left; drop whoever has earned it."""
        while True:
            for effect in self._core.drain():
                self._tell(effect)
            self._flush()
            closing = [line for line in self._lines if line.connection.closing]
            if not closing:
                break
            self._drop(closing[0])
        self._report(self._core.take_report())
        self._settled()

    def _begin(self) -> None:
        self._stage.now_ns = self._clock()

    def _receive(self, line: _Line, data: bytes, fds: Iterable[int]) -> None:
        """Work on what a client says for as long as one turn allows; then others come first."""
        self._begin()
        end_ns = self._stage.now_ns + TURN_NS
        line.connection.receive(data[:SLICE_BYTES], fds)
        at = SLICE_BYTES
        while at < len(data) and self._clock() < end_ns:
            line.connection.receive(data[at : at + SLICE_BYTES])
            at += SLICE_BYTES
        line.unread = data[at:]
        if line.unread:
            line.transport.pause()
            self._later(partial(self._go_on, line))
        self.settle()

    def _go_on(self, line: _Line) -> None:
        if line in self._lines:
            data, line.unread = line.unread, b""
            self._receive(line, data, ())
            if not line.unread and line in self._lines:
                line.transport.resume()

    def _leave(self, line: _Line) -> None:
        """The client hung up, or left so much unread that the transport did."""
        self._begin()
        if line in self._lines:
            self._drop(line)
            self.settle()

    def _drop(self, line: _Line) -> None:
        """Whatever a client leaves behind goes here, in one place, however it went."""
        self._report_error(line)
        line.transport.write(line.connection.take_output())
        line.transport.close()
        line.connection.hang_up()  # every object ends; then the core lets go of what no object stood for
        self._core.remove_client(line.session.client, self._stage.now_ns)
        self._lines.remove(line)
        del self._stage.sessions[line.session.client]

    def _report_error(self, line: _Line) -> None:
        error = line.connection.error
        if error is not None and not line.session.is_journalled:
            code = f"{error.interface}.error.{error.code}"
            name = line.session.client.name
            event = ViolationEvent(t_ns=self._stage.now_ns, client=name, code=code, text=error.text)
            self._report([event])

    def _flush(self) -> None:
        lines, self._with_output[:] = list(self._with_output), []
        for line in lines:
            if line in self._lines:
                line.transport.write(line.connection.take_output())

    def _tell(self, effect: Effect) -> None:
        match effect:
            case (
                FrameDone()
                | Presented()
                | Discarded()
                | BufferReleased()
                | CommitReleased()
                | CaptureReady()
                | CaptureFailed()
            ):
                tell_tokens(self._stage, effect)
            case Configure() | ConfigurePopup() | PopupDone() | Close():
                tell_window(self._stage, effect)
            case EnterOutput() | LeaveOutput() | PreferredScale() | LateViolation():
                tell_surface(self._stage, effect)
            case PointerFocus() | PointerMotion() | PointerButton() | KeyboardFocus():
                tell_seat(self._stage, effect)
            case OutputAdded(output):
                for line in self._lines:
                    self._offer_output(line, output)
            case OutputRemoved(output):
                for line in self._lines:
                    self._withdraw_output(line, output)
            case _:
                assert_never(effect)

    def _offer_output(self, line: _Line, output: Output) -> None:
        offer = output_offer(line.session, output, self._caps)
        if offer is not None and output not in line.outputs:
            line.outputs[output] = line.session.globals.add(offer)

    def _withdraw_output(self, line: _Line, output: Output) -> None:
        name = line.outputs.pop(output, None)
        if name is not None:
            line.session.globals.remove(name)
