"""The command `syncline`: verbs, exit codes, and errors that are one sentence."""

import os
import sys
from collections.abc import Sequence
from typing import Final, NamedTuple

from cyclopts import App, CycloptsError

from syncline.lab.exit import FAIL, USAGE, Usage

INTERRUPTED: Final = 130
"""What a shell reports for a process that SIGINT ended."""


class Verb(NamedTuple):
    """`where` is imported when the verb is used, so that `--help` stays quick."""

    where: str
    what: str
    example: str


VERBS: Final = {
    "demo": Verb(
        "lab.demo.verb:demo",
        "Start everything, watch who waits for whom, end with one table.",
        "syncline demo --seconds 4 --output out",
    ),
    "bench present": Verb(
        "lab.present.verb:present",
        "From a client's commit to light, frame by frame, on Syncline and side by side on other compositors.",
        "syncline bench present --sync shm --against weston --random-phase",
    ),
    "conform": Verb(
        "lab.conform.verb:conform",
        "Judge a compositor by its socket, one verdict per statement.",
        "syncline conform --socket wayland-1 --junit out.xml",
    ),
    "bench scale": Verb(
        "lab.present.scale:scale",
        "Latency, missed vblanks, CPU time and memory against the number of clients.",
        "syncline bench scale --most 16 --sync dma",
    ),
    "bench uapi": Verb(
        "lab.bench.verb:uapi",
        "Calls through the device's door, signal to wake across processes, and long timelines.",
        "syncline bench uapi --json",
    ),
    "bench virtual": Verb(
        "lab.bench.verb:virtual",
        "How fast virtual time goes with clients on it, beside the real clock.",
        "syncline bench virtual --clients 4",
    ),
    "bench wire": Verb(
        "lab.bench.verb:wire",
        "Messages on both wires: encoding, decoding, a round trip beside a bare echo, and many idle clients.",
        "syncline bench wire --json",
    ),
    "matrix": Verb(
        "lab.matrix.verb:matrix",
        "Every kind of client on every kind of compositor and display: who stalls where, and what it costs.",
        "syncline matrix --png matrix.png",
    ),
    "replay": Verb(
        "lab.replay.verb:replay",
        "Run recorded ioctl scenarios and compare with real kernels.",
        'syncline replay scenarios.json --expect linux-7.2.json --only "kms-*"',
    ),
    "screenshot": Verb(
        "lab.screenshot:screenshot",
        "Photograph a running compositor into a PNG file.",
        "syncline screenshot now.png --socket wayland-1",
    ),
    "trace": Verb(
        "lab.trace:trace",
        "Print a recording of messages in the notation of WAYLAND_DEBUG.",
        'syncline trace compositor.rec --match "wp_linux_drm_syncobj*" --match "wl_surface.commit"',
    ),
}
PARTS: Final = {
    "device": ("lab.parts:device", "Serve a device node: the kernel, in a process of its own."),
    "compositor": ("lab.parts:compositor", "Run the compositor on a device node."),
    "client": ("lab.parts:client", "Run one demo client."),
}

app = App(
    name="syncline",
    help="An executable reference of explicit GPU synchronisation. Exit codes: 0 pass, 1 fail, 2 usage, 77 all skipped.",
    help_format="plaintext",
    suppress_keyboard_interrupt=False,
    result_action="return_value",
    exit_on_error=False,
    print_error=False,
)
bench = App(name="bench", help="Measure what things cost, next to the same with nothing of ours in between.")
app.command(bench)
for words, verb in VERBS.items():
    *group, name = words.split()
    (bench if group else app).command(
        f"syncline.{verb.where}", name=name, help=verb.what, help_epilogue=f"Example: {verb.example}"
    )
for name, (where, what) in PARTS.items():  # these parse their own words, --help among them
    app.command(f"syncline.{where}", name=name, help=what, help_flags=(), version_flags=())


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code."""
    try:
        code = app(arguments)
        sys.stdout.flush()
    except (CycloptsError, Usage) as error:
        print(f"syncline: {_sentence(error)}", file=sys.stderr)
        return USAGE
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAIL
    return code if isinstance(code, int) else 0


def _sentence(error: Exception) -> str:
    return " ".join(str(error).split())
