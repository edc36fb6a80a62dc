"""The compositor as a process: `python -m compositor`, or `syncline compositor`."""

import asyncio
import os
import resource
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from errno import EACCES
from functools import partial
from pathlib import Path
from typing import Annotated, Final

from cyclopts import App, CycloptsError, Parameter
from cyclopts.validators import Number

from syncline.compositor.core.policy import AcquireMode, ImplicitMode, Policy, Sync
from syncline.compositor.core.report import ReportEvent
from syncline.compositor.loop import Driver
from syncline.compositor.wayland.globals import CapError, parse_caps
from syncline.compositor.wayland.server import Server
from syncline.kms_model.child import Child
from syncline.kms_model.exchange import Exchange
from syncline.kms_model.faults import NoFault, parse
from syncline.kms_model.journal import EventStream, open_sink
from syncline.kms_model.loops import (
    COMPOSITOR_PRIORITY,
    NS_PER_S,
    RealLoop,
    be_prompt,
    run_real,
)
from syncline.kms_model.node import NodeError, default_path
from syncline.kms_model.remote import RemoteFile
from syncline.kms_model.uapi import DEBUG_NODE, DeviceError, InjectFault
from syncline.protocol.recording import Recorder
from syncline.protocol.trace import Observer
from syncline.protocol.transport import router
from syncline.protocol.transport.curve import load
from syncline.protocol.transport.endpoint import EndpointError, allowed
from syncline.protocol.transport.listener import Listener, NameTaken, listen, listen_anywhere, socket_path
from syncline.protocol.transport.router import Router
from syncline.protocol.transport.unix import UnixTransport
from syncline.protocol.wire.msgpack import MsgpackWire

EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2


class Unavailable(Exception):
    """Something the compositor needs is not there; the text says what would help."""


@Parameter(name="*", negative="", show_default=False)
@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """The command line of the compositor."""

    socket: str = ""
    """Wayland socket: a name in $XDG_RUNTIME_DIR or a path (default: the first free of wayland-1, -2, …)."""

    device: str = ""
    """Device node to run on (default: start one at $XDG_RUNTIME_DIR/syncline/card0, and end it too)."""

    output: tuple[str, ...] = ()
    """A screen of our own device, WIDTHxHEIGHT@HZ; repeatable."""

    sync: Sync = Sync.USER
    """What the compositor can do: none (wl_shm only), implicit (dma-bufs, the fences inside them), dma (acquire
    and release points), user (user fences too; the default)."""

    fault: tuple[str, ...] = ()
    """Something that goes wrong with the device on purpose, NAME[=VALUE][:WHEN[:COUNT]], as of `syncline device`,
    once the screens are lit. Repeatable. A --device has to allow it."""

    acquire: AcquireMode = AcquireMode.SIGNAL_WAIT
    """When an update with an acquire point may be shown: once signalled (the default), once a fence exists, or
    as the first, but user fences go to the display where nobody else waits with it."""

    implicit: ImplicitMode = ImplicitMode.WAIT
    """What is done about fences of buffers without points: wait for them (the default), or let GPU
    and display wait."""

    cap: tuple[str, ...] = ()
    """GLOBAL=VERSION: offer no newer version of that global; 0 hides it. Repeatable."""

    declare_cpu_access: bool = False
    """DMA_BUF_IOCTL_SYNC around every copy of wl_shm pixels: what `syncline device --check` goes by."""

    events: str = ""
    """Where the event stream goes: a path, or fd:N for an inherited descriptor."""

    zmq: str = ""
    """Take clients over ZeroMQ, too: an endpoint, ipc:///absolute/path or tcp://127.0.0.1:PORT."""

    zmq_keys: str = ""
    """Folder of CURVE keys, without which no other address is served."""

    record: str = ""
    """Record every message of every client into this file, for `syncline trace`."""

    seconds: Annotated[float, Parameter(validator=Number(gte=0))] = 0.0
    """End after so many seconds; 0: run until a signal comes."""

    @property
    def policy(self) -> Policy:
        return Policy(
            sync=self.sync,
            acquire=self.acquire,
            implicit=self.implicit,
            declares_cpu_access=self.declare_cpu_access,
        )


DEFAULTS: Final = Options()


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the arguments and run; returns the exit status."""
    app = App(
        name="syncline compositor",
        help="The Syncline compositor.",
        version_flags=[],
        result_action="return_value",
    )
    app.default(_command)
    try:
        status = app(arguments, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        return _complain(str(error), EXIT_USAGE)
    assert status is None or isinstance(status, int), "None after --help"
    return status or 0


def _command(options: Options = DEFAULTS) -> int:
    return launch(options)


def launch(options: Options) -> int:
    """Run the compositor as this process. Returns the exit status; what went wrong is one sentence on stderr."""
    if not __debug__:
        return _complain("python -O drops checks that this program relies on: run it without", EXIT_USAGE)
    if options.device and options.output:
        return _complain(
            "--output is for a device of our own: a --device has its screens already", EXIT_USAGE
        )
    if options.policy.objection is not None:
        return _complain(options.policy.objection, EXIT_USAGE)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # buffers and watched points are descriptors
    try:
        caps = parse_caps(options.cap)
        if options.zmq:
            allowed(options.zmq, has_keys=bool(options.zmq_keys))
        for fault in options.fault:
            parse(fault)
        return run_real(lambda loop: _run(loop, options, caps))
    except (CapError, EndpointError, NoFault, Unavailable) as error:
        return _complain(str(error), EXIT_USAGE)
    except DeviceError as loss:
        return _complain(f"the device is lost: {os.strerror(loss.errno)}", EXIT_FAILED)


async def _run(loop: RealLoop, options: Options, caps: dict[str, int]) -> int:
    end = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end.set)
    if options.seconds:
        loop.call_at_ns(loop.now_ns() + round(options.seconds * NS_PER_S), end.set)
    sinks: list[EventStream | Recorder] = []
    with ExitStack() as owned:
        report: Callable[[list[ReportEvent]], None] = _unheard
        if options.events:
            stream = _event_stream(loop, options.events, owned)
            report = stream.write
            sinks.append(stream)
        path = Path(options.device) if options.device else await _start_device(loop, options, owned)
        device = _open_device(path)
        owned.callback(device.close)
        observer = None
        if options.record:
            observer = _recorder(loop, options.record, owned)
            sinks.append(observer)
        driver = _take_screens(loop, device, path, options.policy, caps, report, observer)
        owned.callback(driver.close)
        if options.fault:
            _inject(path, options.fault, owned)
        also = ""
        if options.zmq:  # first: who finds the Wayland socket may count on both
            messages = _listen_for_messages(loop, options, path, driver.server)
            owned.callback(messages.close)
            also = f" and {messages.endpoint}"
        listener = _listen(loop, options.socket, driver.server.accept)
        owned.callback(listener.close)
        places = f"{listener.path.name}{also}"
        screens = ", ".join(f"{each.name} {each.mode.name}" for each in driver.core.outputs)
        sys.stdout.write(f"syncline compositor: ready on {places} ({screens}; device {path})\n")
        sys.stdout.flush()
        be_prompt(COMPOSITOR_PRIORITY)
        await end.wait()
    return EXIT_FAILED if any(sink.is_broken for sink in sinks) else 0


def _take_screens(
    loop: RealLoop,
    device: RemoteFile,
    path: Path,
    policy: Policy,
    caps: dict[str, int],
    report: Callable[[list[ReportEvent]], None],
    observer: Observer | None,
) -> Driver:
    try:
        return Driver(loop, device, policy=policy, caps=caps, report=report, observer=observer)
    except DeviceError as refusal:
        if refusal.errno == EACCES:
            raise Unavailable(
                f"another compositor drives {path}: stop it, or choose another device"
            ) from refusal
        raise


def _unheard(_events: list[ReportEvent]) -> None:
    """Without --events nobody listens."""


def _event_stream(loop: RealLoop, where: str, owned: ExitStack) -> EventStream:
    try:
        stream = EventStream(loop, open_sink(where), failed=partial(_give_up, "events", where))
    except OSError as error:
        raise Unavailable(f"cannot write events to {where}: {error.strerror}") from error
    owned.callback(_end_stream, stream)
    return stream


def _end_stream(stream: EventStream) -> None:
    stream.close()
    if stream.lost:
        sys.stderr.write(f"syncline compositor: {stream.lost} events were lost to a slow reader\n")


def _listen(loop: RealLoop, name: str, on_client: Callable[[UnixTransport], None]) -> Listener:
    try:
        if name:
            return listen(loop, socket_path(name, os.environ), on_client)
        return listen_anywhere(loop, Path(os.environ["XDG_RUNTIME_DIR"]), on_client)
    except KeyError as missing:
        raise Unavailable(
            "XDG_RUNTIME_DIR is not set: set it, or give --socket an absolute path"
        ) from missing
    except NameTaken as taken:
        raise Unavailable(f"{taken}: choose another name with --socket") from taken
    except OSError as error:
        raise Unavailable(f"cannot listen on {name or 'a Wayland socket'}: {error.strerror}") from error


def _listen_for_messages(loop: RealLoop, options: Options, node: Path, server: Server) -> Router:
    """Serve the message protocol; descriptors come and go through an open of the node of its own."""
    exchange = Exchange(RemoteFile(node, "render"))
    keys = load(Path(options.zmq_keys)) if options.zmq_keys else None
    return router.listen(
        loop, options.zmq, exchange, lambda peer: server.accept(peer, wire=MsgpackWire()), keys=keys
    )


def _recorder(loop: RealLoop, target: str, owned: ExitStack) -> Recorder:
    try:
        file = Path(target).open("wb")  # noqa: SIM115  the recorder closes it
    except OSError as error:
        raise Unavailable(f"cannot record to {target}: {error.strerror}") from error
    recorder = Recorder(file, loop.now_ns, failed=partial(_give_up, "messages", target))
    owned.callback(recorder.close)
    return recorder


def _give_up(what: str, where: str, error: OSError) -> None:
    """The study is incomplete; the clients have done nothing wrong, so the show goes on."""
    _complain(f"no more {what} are written to {where}: {error.strerror}", EXIT_FAILED)


def _open_device(path: Path) -> RemoteFile:
    try:
        return RemoteFile(path)
    except OSError as error:
        raise Unavailable(
            f"no device node at {path} ({error.strerror}): start one with `syncline device`, "
            "or leave --device out to have one started"
        ) from error


async def _start_device(loop: RealLoop, options: Options, owned: ExitStack) -> Path:
    """A device process of our own at the place where clients look."""
    words = [word for output in options.output for word in ("--output", output)]
    if options.fault:
        words.append("--allow-faults")
    try:
        path = default_path(os.environ.get("XDG_RUNTIME_DIR"))
        child = Child(path, words)
        owned.callback(child.end)
        await child.ready(loop)
    except NodeError as error:
        raise Unavailable(str(error)) from error
    return path


def _inject(path: Path, faults: Sequence[str], owned: ExitStack) -> None:
    """By the device's debug node, which has to be there."""
    try:
        door = RemoteFile(path, DEBUG_NODE)
    except DeviceError as error:
        raise Unavailable(
            f"the device at {path} lets nobody inject faults: start it with --allow-faults"
        ) from error
    owned.callback(door.close)
    for fault in faults:
        try:
            door.call(InjectFault(fault))
        except DeviceError as error:
            raise Unavailable(error.why) from error


def _complain(text: str, status: int) -> int:
    sys.stderr.write(f"syncline compositor: {' '.join(text.split())}\n")
    return status


if __name__ == "__main__":
    raise SystemExit(main())
