"""The command line: `python -m kms_model --output 1920x1080@60`. One process, one device node."""

import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, count, repeat
from pathlib import Path
from typing import Final

from cyclopts import App, CycloptsError, Parameter

from syncline.kms_model.checker import Policy, Violation
from syncline.kms_model.checker.watch import Rules
from syncline.kms_model.faults import NoFault, parse
from syncline.kms_model.journal import open_sink
from syncline.kms_model.kms.mode import Output
from syncline.kms_model.node import NodeError, default_path, run
from syncline.kms_model.profiles import CrtcLayout, Profile, profile as profile_named

EXIT_BROKEN: Final = 1
EXIT_USAGE: Final = 2


def with_outputs(profile: Profile, outputs: Sequence[str]) -> Profile:
    """The profile with these screens, WIDTHxHEIGHT@HZ each, on CRTCs like its own. Raises NodeError."""
    if not outputs:
        return profile
    if not profile.crtcs:
        raise NodeError(f"{profile.name} has no display: leave out --output, or choose another profile")
    layouts = zip(outputs, chain(profile.crtcs, repeat(profile.crtcs[-1])), count(1), strict=False)
    crtcs = tuple(
        replace(layout, output=_output(text, f"Virtual-{number}", layout)) for text, layout, number in layouts
    )
    return replace(profile, crtcs=crtcs)


def _output(text: str, name: str, layout: CrtcLayout) -> Output:
    match = re.fullmatch(r"(\d{1,4})x(\d{1,4})(?:@(\d{1,4}(?:\.\d{1,3})?))?", text)
    if match is None or not int(match[1]) or not int(match[2]):
        raise NodeError(f"{text} is no screen: say for example 1920x1080@60")
    refresh_mhz = round(float(match[3] or 60) * 1000)
    if not refresh_mhz:
        raise NodeError(f"{text}: a screen needs a refresh rate above 0")
    return replace(
        layout.output, name=name, width=int(match[1]), height=int(match[2]), refresh_mhz=refresh_mhz
    )


@Parameter(name="*", negative="", show_default=False)
@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """The command line of the device node."""

    socket: Path | None = None
    """Where to listen (default: $XDG_RUNTIME_DIR/syncline/card0)."""

    profile: str = "syncline"
    """Which driver is modelled: syncline, syncline-dma-kms, virtio_gpu, vkms, vkms-rig2 or vgem (default: syncline)."""

    kernel: str = "7.2"
    """Which kernel: 7.2 or 6.12 (default: 7.2)."""

    output: tuple[str, ...] = ()
    """A screen, WIDTHxHEIGHT@HZ; repeatable (default: those of the profile)."""

    events: str | None = None
    """Where the event stream goes: a path, or fd:N for an inherited descriptor."""

    check: Policy | None = None
    """Under the fence checker: collect its reports (on stderr), raise ends at an error, raise-on-warn at a warning."""

    fault: tuple[str, ...] = ()
    """Something that goes wrong on purpose, NAME[=VALUE][:WHEN[:COUNT]]: ModeAtomic=EBUSY:3:2 refuses the third and
    fourth commit, gpu-reset:2s resets the GPU after two seconds. Repeatable; names are in docs/machine.md."""

    allow_faults: bool = False
    """Serve a debug node, too, by which this user's programs can inject faults while the device runs."""

    rules: Rules = Rules.ALL
    """What --check is about: all rules, or buffers alone (races and needless waits), which costs little."""

    ready: str | None = None
    """Where a line is written once callers may connect: a path, or fd:N for an inherited descriptor."""


DEFAULTS: Final = Options()


def launch(options: Options = DEFAULTS) -> int:
    """Run a device node as this process. Returns the exit status; what went wrong is one sentence on stderr."""
    try:
        path = options.socket or default_path(os.environ.get("XDG_RUNTIME_DIR"))
        profile = with_outputs(profile_named(options.profile, options.kernel), options.output)
        ready = partial(_tell_ready, options.ready)
        faults = [parse(each) for each in options.fault]
        is_whole = run(
            path, profile=profile, faults=faults, allow_faults=options.allow_faults, events=options.events,
            check=options.check, rules=options.rules, say=_say, ready=ready,
        )  # fmt: skip
    except KeyError:
        return _complain(f"there is no profile {options.profile} of kernel {options.kernel}")
    except (NodeError, NoFault) as error:
        return _complain(str(error))
    except Violation:
        return EXIT_BROKEN  # the report was said when it was made
    return 0 if is_whole else EXIT_BROKEN


def _tell_ready(where: str | None) -> None:
    if where is None:
        return
    try:
        fd = open_sink(where)
        os.write(fd, b"ready\n")
    except OSError as error:
        raise NodeError(f"cannot write to {where}: {error.strerror}") from error
    os.close(fd)


def main(words: Sequence[str] | None = None) -> int:
    """`python -m kms_model`. Returns the exit status."""
    app = App(
        name="syncline device",
        help="A modelled GPU and display.",
        version_flags=[],
        result_action="return_value",
    )
    app.default(launch)
    try:
        status = app(words, exit_on_error=False, print_error=False)
    except CycloptsError as error:
        return _complain(str(error))
    return status if isinstance(status, int) else 0


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _complain(sentence: str) -> int:
    sys.stderr.write(f"syncline device: {sentence}\n")
    return EXIT_USAGE
