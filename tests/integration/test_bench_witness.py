"""The witness of standstills as a process: it watches, makes its statement, and ends, whoever ends first."""

import os
import select
import subprocess
import sys
from pathlib import Path

import msgspec

from syncline.lab.present.run import WITNESS, witnessed
from syncline.lab.present.standstill import NOBODY, Statement
from syncline.lab.present.witness import LATE_NS, PRIORITY

PATIENCE_MS = 30_000

PARENT = f"""
import os, sys
from pathlib import Path
from syncline.lab.process import Process
with Process({WITNESS!r}, os.environ, Path(sys.argv[1])) as witness:
    print(witness.pid, flush=True)
    sys.stdin.read()
"""


def test_it_watches_until_it_is_told_to_end_and_says_what_it_saw(tmp_path: Path) -> None:
    with witnessed(tmp_path / "log"):
        pass

    statement = msgspec.json.decode((tmp_path / "log").read_bytes().splitlines()[-1], type=Statement)
    assert statement.priority == PRIORITY or statement == NOBODY
    for each in statement.standstills:
        assert each.core in os.sched_getaffinity(0)
        assert each.to_ns - each.from_ns > LATE_NS


def test_it_ends_with_its_parent_even_if_that_is_killed(tmp_path: Path) -> None:
    words = [sys.executable, "-c", PARENT, str(tmp_path / "log")]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        witness = os.pidfd_open(int(parent.stdout.readline()))
        parent.kill()

    ended = select.poll()
    ended.register(witness, select.POLLIN)
    assert ended.poll(PATIENCE_MS), "it goes on without anybody to listen"
    os.close(witness)
