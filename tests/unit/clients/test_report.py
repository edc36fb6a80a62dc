"""The event stream of a client."""

import json
import os
from pathlib import Path

import pytest

from syncline.clients.toolkit.report import (
    Discarded,
    EventStream,
    Released,
    StreamLost,
    Tally,
)


def test_an_event_is_one_json_line_with_its_name_and_time(tmp_path: Path) -> None:
    target = tmp_path / "events.jsonl"

    with EventStream(str(target)) as emit:
        emit(Discarded(t_ns=5, client=1, surface=3, frame=9))
        emit(Released(t_ns=6, client=1, image=0, release_point=2, held_ns=4))

    assert [json.loads(line) for line in target.read_text().splitlines()] == [
        {"ev": "client_discarded", "t_ns": 5, "client": 1, "surface": 3, "frame": 9},
        {"ev": "client_released", "t_ns": 6, "client": 1, "image": 0, "release_point": 2, "held_ns": 4},
    ]


def test_a_stream_may_be_an_inherited_descriptor_and_is_written_at_once() -> None:
    reader, writer = os.pipe()

    with EventStream(f"fd:{writer}") as emit:
        emit(Discarded(t_ns=5, client=1, surface=3, frame=9))
        assert b"client_discarded" in os.read(reader, 4096)

    os.close(reader)


def test_a_reader_that_has_gone_is_no_reason_to_fail() -> None:
    reader, writer = os.pipe()
    os.close(reader)

    with EventStream(f"fd:{writer}") as emit:
        emit(Discarded(t_ns=5, client=1, surface=3, frame=9))
        emit(Discarded(t_ns=6, client=1, surface=3, frame=10))


def test_a_full_disk_is_one_sentence() -> None:
    with (
        pytest.raises(StreamLost, match="no more events can be written to /dev/full: No space left"),
        EventStream("/dev/full") as emit,
    ):
        emit(Discarded(t_ns=5, client=1, surface=3, frame=9))


def test_a_commit_is_unanswered_until_it_is_presented_or_discarded() -> None:
    assert Tally(asked=5, presented=3, discarded=1).unanswered == 1
