"""A compositor that clients can be measured on: Syncline with its device, or anybody else's, headless."""

import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from syncline.kms_model.presence import answers
from syncline.lab.exit import Usage
from syncline.lab.present.plan import OURS
from syncline.lab.process import NOBODY, Process, answering, appears

SETTLE_S: Final = 0.3
"""A desktop draws its background and starts its helpers after it has begun to listen."""

POLICIES: Final = ("SCHED_OTHER", "SCHED_BATCH", "SCHED_IDLE", "SCHED_FIFO", "SCHED_RR")

WESTON_INI: Final = """\
[core]
idle-time=0
[shell]
panel-position=none
startup-animation=none
close-animation=none
locking=false
"""
SWAY_CONFIG: Final = """\
output HEADLESS-1 resolution {width}x{height}@60Hz
default_border none
for_window [app_id=".*"] floating enable
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Stage:
    """`parts` are the processes whose CPU time counts; only our own stage has a device and event files."""

    name: str
    socket: Path
    parts: Sequence[Process]
    version: str
    node: Path | None = None
    endpoint: str = ""
    """Where messages over ZeroMQ are taken; none where nobody asked for it."""
    events: Path | None = None
    device_events: Path | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Contender:
    """Another compositor: how to start it, in a directory of its own that is its XDG_RUNTIME_DIR."""

    name: str
    command: tuple[str, ...]
    environment: tuple[tuple[str, str], ...] = ()
    config: tuple[str, str] | None = None
    """Name and text of a file that is written into the directory first."""
    refuses_root: bool = False


def contender(word: str, *, output_mode: str) -> Contender:
    """Of `--against WORD`. Raises Usage for an unknown name, or a program that is not installed."""
    name, is_command, command = word.partition("=")
    if is_command:
        made = Contender(name=name, command=tuple(shlex.split(command)))
    else:
        made = _built_in(name, output_mode)
    if not made.command or not name or name == OURS:
        raise Usage(f"--against {word}: say NAME=COMMAND, or weston or sway")
    if shutil.which(made.command[0]) is None:
        raise Usage(f"--against {word}: there is no command {made.command[0]}: install it, or leave it out")
    return made


def _built_in(name: str, output_mode: str) -> Contender:
    width, _, height = output_mode.partition("@")[0].partition("x")
    if name == "weston":
        command = ["weston", "--backend=headless-backend.so", "--use-pixman", "--socket=wayland-1"]
        sizes = [f"--width={width}", f"--height={height}", "--config={directory}/weston.ini"]
        return Contender(name=name, command=(*command, *sizes), config=("weston.ini", WESTON_INI))
    if name == "sway":
        return Contender(
            name=name,
            command=("sway", "--config", "{directory}/config"),
            environment=(
                ("WLR_BACKENDS", "headless"),
                ("WLR_RENDERER", "pixman"),
                ("WLR_LIBINPUT_NO_DEVICES", "1"),
            ),
            config=("config", SWAY_CONFIG.format(width=width, height=height)),
            refuses_root=True,
        )
    raise Usage(f"--against {name}: only weston and sway are known by name; say {name}=COMMAND")


@contextmanager
def foreign(each: Contender, directory: Path) -> Iterator[Stage]:
    """Start it and wait until it takes clients. Raises Usage, with its last words, if it does not."""
    directory.mkdir(mode=0o700)
    if each.config is not None:
        (directory / each.config[0]).write_text(each.config[1])
    as_nobody = each.refuses_root and os.geteuid() == 0
    if as_nobody:
        _make_reachable(directory)
    environment = (
        os.environ | {"XDG_RUNTIME_DIR": str(directory), "HOME": str(directory)} | dict(each.environment)
    )
    for inherited in ("WAYLAND_DISPLAY", "WAYLAND_SOCKET", "DISPLAY"):
        environment.pop(inherited, None)
    command = [word.replace("{directory}", str(directory)) for word in each.command]
    with Process(command, environment, directory / "log", as_nobody=as_nobody) as process:
        found = appears(each.name, process, lambda: _sockets(directory))
        time.sleep(SETTLE_S)
        yield Stage(name=each.name, socket=found, parts=[process], version=_version(each))


def _make_reachable(directory: Path) -> None:
    """Some compositors refuse to run as root: they get the directory, and may pass through its parent."""
    directory.parent.chmod(0o711)
    for path in (directory, *directory.iterdir()):
        os.chown(path, NOBODY, NOBODY)


@contextmanager
def ours(
    directory: Path,
    *,
    output_mode: str,
    with_device_events: bool,
    with_messages: bool,
    of_device: Sequence[str] = (),
    of_compositor: Sequence[str] = (),
) -> Iterator[Stage]:
    """A device node and a compositor on it, each with flags of its own. Raises Usage."""
    directory.mkdir(mode=0o700)
    node, wayland = directory / "card0", directory / "wayland-1"
    events, device_events = directory / "compositor.jsonl", directory / "device.jsonl"
    environment = os.environ | {"XDG_RUNTIME_DIR": str(directory)}
    tool = [sys.executable, "-m", "syncline"]
    device_words = ["device", "--socket", str(node), "--output", output_mode, *of_device]
    if with_device_events:
        device_words += ["--events", str(device_events)]
    compositor_words = [
        "compositor",
        "--device",
        str(node),
        "--socket",
        str(wayland),
        "--events",
        str(events),
        *of_compositor,
    ]
    endpoint = f"ipc://{directory}/messages" if with_messages else ""
    if endpoint:
        compositor_words += ["--zmq", endpoint]
    with Process([*tool, *device_words], environment, directory / "device.log") as device:
        appears("device", device, lambda: node if answers(node) else None)
        with Process([*tool, *compositor_words], environment, directory / "compositor.log") as compositor:
            appears("compositor", compositor, lambda: _sockets(directory))
            yield Stage(
                name=OURS,
                socket=wayland,
                parts=[compositor, device],
                version="",
                node=node,
                endpoint=endpoint,
                events=events,
                device_events=device_events if with_device_events else None,
            )


def level(own: Stage, others: Sequence[Stage]) -> None:
    """Give the others' processes the scheduling that ours asked for: a ratio is to compare compositors, not privileges."""
    if others:
        time.sleep(SETTLE_S)  # it asks only once it is ready
    policy, parameters = os.sched_getscheduler(own.parts[0].pid), os.sched_getparam(own.parts[0].pid)
    for stage in others:
        for part in stage.parts:
            os.sched_setscheduler(part.pid, policy, parameters)


def scheduling(stage: Stage) -> str:
    """Under which policy its compositor runs."""
    pid = stage.parts[0].pid
    policy = os.sched_getscheduler(pid) & ~os.SCHED_RESET_ON_FORK
    name = next((name for name in POLICIES if getattr(os, name) == policy), f"policy {policy}")
    priority = os.sched_getparam(pid).sched_priority
    return f"{name} at priority {priority}" if priority else name


def _sockets(directory: Path) -> Path | None:
    """The Wayland socket that a compositor has chosen itself."""
    return answering(directory.glob("wayland-*[0-9]"))


def _version(each: Contender) -> str:
    if each.name not in {"weston", "sway"}:
        return ""
    said = subprocess.run([each.command[0], "--version"], capture_output=True, text=True, check=False).stdout
    return said.strip().splitlines()[0] if said.strip() else ""
