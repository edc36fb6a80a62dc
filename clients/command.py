"""The command line: `python -m clients solid --gpu-ms 5`. One process, one client, one loop."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from errno import EACCES, EINVAL
from functools import partial
from pathlib import Path
from typing import Final, TypeVar

from cyclopts import App, CycloptsError

from syncline.clients.catalogue import DEMOS, Demo, run_demo
from syncline.clients.toolkit.loop import ClientError, Context, RealThreads, stop_on_signals
from syncline.clients.toolkit.options import DEFAULTS, Options, Wire
from syncline.clients.toolkit.report import Emit, EventStream, StreamLost
from syncline.clients.toolkit.summary import Summary
from syncline.kms_model.exchange import Exchange
from syncline.kms_model.loops import RealLoop, run_real
from syncline.kms_model.remote import RemoteFile
from syncline.kms_model.uapi import DeviceError, DropMaster
from syncline.protocol.recording import Recorder
from syncline.protocol.transport import Transport, zmq
from syncline.protocol.transport.curve import load
from syncline.protocol.transport.endpoint import EndpointError, allowed
from syncline.protocol.transport.unix import connect
from syncline.protocol.wire.msgpack import MsgpackWire
from syncline.protocol.wire.wayland import MESSAGE_BYTES_MAX

EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2

HELP: Final = {
    "compositor": ("syncline compositor", "--socket"),
    "device node": ("syncline device", "--device"),
}

T = TypeVar("T")


class Unavailable(Exception):
    """Something the client needs is not there; the text says what would help."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo that the arguments name; returns the exit status."""
    app = App(
        name="syncline client",
        help="Demo clients of the Syncline compositor.",
        version_flags=[],
        result_action="return_value",
    )
    for demo in DEMOS.values():
        app.command(_command(demo), name=demo.name, help=demo.about)
    try:
        status = app(arguments, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        return _complain(str(error), EXIT_USAGE)
    assert status is None or isinstance(status, int), "None after --help"
    return status or 0


def _command(demo: Demo) -> Callable[[Options], int]:
    def command(options: Options = DEFAULTS) -> int:
        return launch(demo, options)

    return command


def launch(demo: Demo, options: Options) -> int:
    """Run one demo as this process: its own loop, socket and device file. Returns the exit status."""
    objection = demo.objection(options)
    if objection is not None:
        return _complain(objection, EXIT_USAGE)
    try:
        run_real(lambda loop: _run(loop, demo, demo.complete(options)))
    except Unavailable as error:
        return _complain(str(error), EXIT_USAGE)
    except (ClientError, StreamLost) as error:
        return _complain(f"{demo.name}: {error}", EXIT_FAILED)
    except DeviceError as error:
        return _complain(
            f"{demo.name}: the device refused: {os.strerror(error.errno)} ({error.why})", EXIT_FAILED
        )
    return 0


async def _run(loop: RealLoop, demo: Demo, options: Options) -> None:
    with ExitStack() as owned:
        emit: Emit = Summary(sys.stdout.write)
        if options.events:
            emit = owned.enter_context(_event_stream(options.events))
        device = threads = None
        if demo.needs_device:
            device = _opened("device node", _node_path(options), _open_node)
            owned.callback(device.close)
            threads = RealThreads(device, partial(_open_node, _node_path(options)))
        observer = owned.enter_context(_recorder(loop, options.record)) if options.record else None
        transport, wire = _messages(loop, options) if options.wire is Wire.ZMQ else _wayland(loop, options)
        context = Context(
            loop=loop, transport=transport, device=device, options=options, emit=emit, wire=wire,
            observer=observer, threads=threads,
        )  # fmt: skip
        stop_on_signals(loop, context)
        await run_demo(demo, context)


def _wayland(loop: RealLoop, options: Options) -> tuple[Transport, None]:
    return _opened("compositor", _socket_path(options), partial(connect, loop)), None


def _messages(loop: RealLoop, options: Options) -> tuple[Transport, MsgpackWire]:
    """Descriptors travel through the node, so even a client that paints on the CPU needs it."""
    endpoint = options.endpoint or f"ipc://{_runtime_dir('--endpoint')}/syncline/messages"
    try:
        allowed(endpoint, has_keys=bool(options.keys))
        keys = load(Path(options.keys)) if options.keys else None
        exchange = _opened(
            "device node", _node_path(options), lambda path: Exchange(RemoteFile(path, "render"))
        )
        transport = zmq.connect(loop, endpoint, exchange, keys=keys)
    except EndpointError as error:
        raise Unavailable(str(error)) from error
    except OSError as error:
        raise Unavailable(
            f"no compositor at {endpoint} ({error.strerror}): start one with `syncline compositor --zmq "
            f"{endpoint}`, or name it with --endpoint"
        ) from error
    return transport, MsgpackWire(message_bytes=MESSAGE_BYTES_MAX)


@contextmanager
def _recorder(loop: RealLoop, target: str) -> Iterator[Recorder]:
    try:
        with Path(target).open("wb") as file:
            yield Recorder(file, loop.now_ns)
    except OSError as error:
        raise Unavailable(f"cannot record to {target}: {error.strerror}") from error


def _opened(what: str, path: Path, open_: Callable[[Path], T]) -> T:
    """Open one of the two things a client needs. Raises Unavailable."""
    try:
        return open_(path)
    except OSError as error:
        start, flag = HELP[what]
        raise Unavailable(
            f"no {what} at {path} ({os.strerror(error.errno or 0)}): start one with `{start}`, or name it with {flag}"
        ) from error


def _event_stream(target: str) -> EventStream:
    try:
        return EventStream(target)
    except (OSError, ValueError) as error:
        raise Unavailable(
            f"no events can be written to {target!r} ({error}): name a file, or fd:N"
        ) from error


def _open_node(path: Path) -> RemoteFile:
    """The first to open a card becomes its master, which a client has no use for and the compositor needs."""
    device = RemoteFile(path)
    try:
        device.call(DropMaster())
    except DeviceError as refusal:
        if refusal.errno not in {EACCES, EINVAL}:  # it never was, or is no longer
            raise
    return device


def _socket_path(options: Options) -> Path:
    name = options.socket or os.environ.get("WAYLAND_DISPLAY")
    if not name:
        raise Unavailable("no Wayland socket: set WAYLAND_DISPLAY, or name one with --socket")
    return Path(name) if Path(name).is_absolute() else _runtime_dir("--socket") / name


def _node_path(options: Options) -> Path:
    return Path(options.device) if options.device else _runtime_dir("--device") / "syncline" / "card0"


def _runtime_dir(flag: str) -> Path:
    folder = os.environ.get("XDG_RUNTIME_DIR")
    if not folder:
        raise Unavailable(f"XDG_RUNTIME_DIR is not set: set it, or give a whole path with {flag}")
    return Path(folder)


def _complain(sentence: str, status: int) -> int:
    sys.stderr.write(sentence + "\n")
    return status
