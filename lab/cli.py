"""The command `syncline`: verbs, exit codes, and errors that are one sentence."""

import os
import sys
from collections.abc import Sequence
from typing import Final

from cyclopts import App, CycloptsError

from syncline.lab.exit import FAIL, USAGE, Usage

INTERRUPTED: Final = 130
"""What a shell reports for a process that SIGINT ended."""

# A verb's module is imported when the verb is used, so that `--help` stays quick.
VERBS: Final = {
    "demo": ("lab.demo.verb:demo", "Start everything, watch who waits for whom, end with one table."),
    "bench": ("lab.bench.verb:bench", "Measure what things cost."),
    "replay": ("lab.replay.verb:replay", "Run recorded ioctl scenarios and compare with real kernels."),
    "screenshot": ("lab.screenshot:screenshot", "Photograph a running compositor into a PNG file."),
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
for name, (where, what) in VERBS.items():
    app.command(f"syncline.{where}", name=name, help=what)
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
