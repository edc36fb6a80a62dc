import asyncio
import os
from pathlib import Path

import msgspec
import pytest

from syncline.kms_model import journal as journal_module
from syncline.kms_model.journal import FILE_NS, TOGETHER, Journal, open_sink
from syncline.kms_model.loops import VirtualLoop, run_virtual, sleep_until
from syncline.kms_model.trace import FlipTrace, Warn


def flip(sequence: int) -> FlipTrace:
    return FlipTrace(sequence * 16_000_000, 1, sequence, (5,))


def sequences(data: bytes) -> list[int]:
    return [
        event["sequence"] for event in map(msgspec.json.decode, data.splitlines()) if event["ev"] == "flip"
    ]


def test_every_event_is_one_line_of_json() -> None:
    reader, writer = os.pipe()

    async def run(loop: VirtualLoop) -> None:
        journal = Journal(loop, writer)
        journal.write(flip(1))
        journal.write(flip(2))
        await asyncio.sleep(0)
        journal.close()

    run_virtual(run)
    data = os.read(reader, 10_000)
    os.close(reader)
    assert data.count(b"\n") == 2
    assert sequences(data) == [1, 2]


def test_events_of_the_last_moment_are_written_at_close() -> None:
    reader, writer = os.pipe()

    async def run(loop: VirtualLoop) -> None:
        journal = Journal(loop, writer)
        journal.write(flip(1))
        journal.close()

    run_virtual(run)
    assert sequences(os.read(reader, 10_000)) == [1]
    os.close(reader)


def test_a_slow_reader_holds_nobody_up_and_gets_everything_in_the_end() -> None:
    reader, writer = os.pipe()
    data = bytearray()

    async def run(loop: VirtualLoop) -> None:
        journal = Journal(loop, writer)
        for sequence in range(5_000):
            journal.write(flip(sequence))
        complete = asyncio.Event()

        def read() -> None:
            data.extend(os.read(reader, 65_536))
            if len(data.splitlines()) == 5_000:
                complete.set()

        loop.add_reader(reader, read)
        await complete.wait()
        loop.remove_reader(reader)
        journal.close()

    run_virtual(run)
    os.close(reader)
    assert sequences(bytes(data)) == list(range(5_000))


def test_what_is_lost_to_a_reader_that_never_reads_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "UNREAD_MAX", 1_000)
    reader, writer = os.pipe()

    async def run(loop: VirtualLoop) -> None:
        journal = Journal(loop, writer)
        for sequence in range(100):
            journal.write(flip(sequence))
        await asyncio.sleep(0)
        journal.write(flip(100))
        journal.close()

    run_virtual(run)
    events = [msgspec.json.decode(line) for line in os.read(reader, 100_000).splitlines()]
    os.close(reader)
    (warning,) = [event for event in events if event["ev"] == "warn"]
    kept = [event["sequence"] for event in events if event["ev"] == "flip"]
    assert kept[-1] == 100
    assert warning["what"] == f"{101 - len(kept)} events were lost to a slow reader"


def test_a_file_gets_events_together_after_a_while_when_there_are_many_and_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "events"

    async def run(loop: VirtualLoop) -> list[int]:
        journal, lines = Journal(loop, open_sink(str(target))), []

        def count() -> None:
            lines.append(target.read_bytes().count(b"\n"))

        journal.write(flip(1))
        await sleep_until(loop, loop.now_ns() + FILE_NS // 2)
        count()
        await sleep_until(loop, loop.now_ns() + FILE_NS)
        count()
        for sequence in range(TOGETHER):
            journal.write(flip(sequence))
        await asyncio.sleep(0)
        count()
        journal.write(flip(3))
        journal.close()
        count()
        return lines

    assert run_virtual(run) == [0, 1, 1 + TOGETHER, 2 + TOGETHER]


def test_a_reader_that_leaves_is_no_trouble() -> None:
    reader, writer = os.pipe()
    os.close(reader)

    async def run(loop: VirtualLoop) -> None:
        journal = Journal(loop, writer)
        journal.write(Warn(0, "K2", "nobody hears this"))
        await asyncio.sleep(0)
        journal.close()

    run_virtual(run)


def test_a_sink_is_a_path_or_an_inherited_descriptor(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    for where in (str(tmp_path / "events"), f"fd:{writer}"):
        fd = open_sink(where)
        os.write(fd, b"line\n")
        os.close(fd)
    os.close(writer)

    assert (tmp_path / "events").read_bytes() == os.read(reader, 100) == b"line\n"
    os.close(reader)
    with pytest.raises(OSError, match="Bad file descriptor"):
        open_sink(f"fd:{1 << 30}")
