"""A cell as real processes: a device, a compositor on it, and two clients, for some seconds."""

import os
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import msgspec

from syncline.clients.toolkit.report import ClientEvent
from syncline.compositor.core.report import ReportEvent
from syncline.kms_model.loops import NS_PER_S, RealLoop, run_real
from syncline.lab.demo.cast import Role, words
from syncline.lab.exit import Usage
from syncline.lab.matrix.cast import bystander, subject
from syncline.lab.matrix.evidence import WARM_UP_NS, Evidence
from syncline.lab.matrix.plan import OUTPUT_MODE, Options, Place
from syncline.lab.present.events import DeviceEvent, decoded
from syncline.lab.present.machine import Probe
from syncline.lab.present.stage import Stage, ours
from syncline.lab.process import Process

DEBUT_NS: Final = 15 * NS_PER_S
"""Who has shown no frame by then never will: interpreters start, windows open."""

SHOWN: Final = b'"ev":"client_presented"'

CLIENT_EVENTS: Final = msgspec.json.Decoder(ClientEvent)


def perform(place: Place, options: Options, probe: Probe) -> Evidence:
    """Raises Usage if a part cannot be started, or does not survive."""
    if place.objection:
        return Evidence(objection=place.objection)
    with TemporaryDirectory(prefix="syncline-") as directory:
        return _perform(place, options, probe, Path(directory))


def _perform(place: Place, options: Options, probe: Probe, directory: Path) -> Evidence:
    late, light = subject(place, options), bystander(options)
    with ExitStack() as owned:
        stage = owned.enter_context(_stage(place, directory / "stage"))
        client = owned.enter_context(_client(stage, late, directory))
        beside = owned.enter_context(_client(stage, light, directory))
        events = [_events(directory, role) for role in (late, light)]
        run_real(lambda loop: _watch(loop, options, probe, client, events))
        parts = {"compositor": stage.parts[0], "device": stage.parts[1], "bystander": beside}
        for name, part in parts.items():
            if part.ended:
                raise Usage(f"the {name} did not survive {' '.join(place.words)}: it {part.obituary}")
        objection = _last_words(directory, late) if client.ended and not client.is_well else ""
    assert stage.events is not None, "our own stage has files of events"
    assert stage.device_events is not None
    return Evidence(
        subject=_told(directory, late),
        bystander=_told(directory, light),
        compositor=decoded(stage.events, msgspec.json.Decoder(ReportEvent)),
        device=list(decoded(stage.device_events, msgspec.json.Decoder(DeviceEvent))),
        objection=objection,
    )


def _stage(place: Place, directory: Path) -> AbstractContextManager[Stage]:
    policy = place.policy
    can = ("--sync", policy.sync.value)
    does = ("--acquire", policy.acquire.value, "--implicit", policy.implicit.value)
    return ours(
        directory,
        output_mode=OUTPUT_MODE,
        with_device_events=True,
        with_messages=False,
        of_device=("--profile", place.profile.name),
        of_compositor=(*can, *does),
    )


def _client(stage: Stage, role: Role, directory: Path) -> Process:
    sockets = ("--socket", str(stage.socket), "--device", str(stage.node))
    command = [sys.executable, "-m", "syncline", "client", *words(role), *sockets]
    command += ["--events", str(_events(directory, role))]
    return Process(command, os.environ, _log(directory, role))


async def _watch(
    loop: RealLoop, options: Options, probe: Probe, client: Process, events: Sequence[Path]
) -> None:
    """Until everybody has shown a frame, and from then as long as a cell lasts; or until the client gives up."""
    begin_ns = loop.now_ns()

    def is_dark() -> bool:
        if client.ended or loop.now_ns() > begin_ns + DEBUT_NS:
            return False
        return not all(path.exists() and SHOWN in path.read_bytes() for path in events)

    await probe.watch(loop, is_dark)
    end_ns = loop.now_ns() + WARM_UP_NS + options.length_ns
    await probe.watch(loop, lambda: loop.now_ns() < end_ns and not client.ended)


def _events(directory: Path, role: Role) -> Path:
    return directory / f"{role.name}.jsonl"


def _log(directory: Path, role: Role) -> Path:
    return directory / f"{role.name}.log"


def _told(directory: Path, role: Role) -> list[ClientEvent]:
    """Nothing by who was stopped before it could begin."""
    path = _events(directory, role)
    return decoded(path, CLIENT_EVENTS) if path.exists() else []


def _last_words(directory: Path, role: Role) -> str:
    """What it complained of, without its name."""
    said = _log(directory, role).read_text(errors="replace").strip().splitlines() or [
        "it ended without a word"
    ]
    return said[-1].removeprefix(f"{role.demo}: ")
