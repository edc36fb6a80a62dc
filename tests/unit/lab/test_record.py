"""events.jsonl: who told it, and in which order."""

import json
from pathlib import Path

import msgspec
import pytest

from syncline.compositor.core.report import Ready
from syncline.lab.demo.record import Record


def test_events_are_written_in_the_order_of_time_and_say_who_told_them(tmp_path: Path) -> None:
    record = Record()
    record.add("compositor", Ready(t_ns=20, client="solid", surface=1, update=3))
    record.add_line("solid", b'{"ev":"client_started","t_ns":10,"client":1}\n')
    record.add_line("hog", b'{"ev":"client_started","t_ns":20,"client":2}\n')

    record.write(tmp_path / "events.jsonl")

    lines = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text().splitlines()]
    assert [(line["source"], line["ev"], line["t_ns"]) for line in lines] == [
        ("solid", "client_started", 10),
        ("compositor", "ready", 20),
        ("hog", "client_started", 20),
    ]


def test_a_line_that_is_no_event_is_refused() -> None:
    with pytest.raises(msgspec.MsgspecError):
        Record().add_line("solid", b"Segmentation fault\n")
