"""Both wires to one compositor say the same (protocol.md 5.10)."""

import os
from collections import defaultdict
from collections.abc import Mapping
from typing import Final

from syncline.conformance import catalogue
from syncline.conformance.case import DMABUF, SYNCOBJ, Case, RunClass, case
from syncline.conformance.client import Client
from syncline.conformance.target import Detour, Line
from syncline.conformance.trial import Trial
from syncline.conformance.verdict import Failure, Skip
from syncline.conformance.window import Frame, Window
from syncline.protocol.errors import ProtocolError

X = RunClass.X
NEEDS: Final = (SYNCOBJ, DMABUF)
COMPARED: Final = ("VAL-0", "VAL-1", "VAL-20", "VAL-21", "VAL-23", "OBJ-0", "COR-0", "XDG-0", "IDS-0")
ROUNDS: Final = 60
UNREAD: Final = 25_000
"""Answers to be left unread: more than a compositor keeps for one client."""
LONG: Final = "x" * 3000
LONG_NS: Final = 20_000_000_000

Histories = Mapping[tuple[str, int, bool], list[str]]


def _histories(trial: Trial) -> Histories:
    """What each object of each client said and heard, in order; not what became of a frame, which the clock decides."""
    found: dict[tuple[str, int, bool], list[str]] = defaultdict(list)
    for said in trial.said:
        if said.message.interface == "wp_presentation_feedback":
            continue
        found[said.connection, said.object_id, said.incoming].append(str(said.message))
    return found


def _ways(trial: Trial) -> list[Detour]:
    return [Detour(trial.stand, line) for line in trial.lines]


def _tried(one: Case, way: Detour) -> tuple[str, str, Histories]:
    """Verdict, reason, and what was said."""
    trial = Trial(way)
    verdict, reason = "pass", ""
    try:
        trial.require(one.needs, device=one.device)
        one.body(trial)
    except Failure as failure:
        verdict, reason = "fail", str(failure)
    except Skip as skip:
        verdict, reason = "skip", str(skip)
    finally:
        trial.close()
    return verdict, reason or "; ".join(trial.notes), _histories(trial)


@case("S4 S5 S70", X, needs=NEEDS, device=True)
def test_trn_01_the_same_cases_have_the_same_histories(trial: Trial) -> None:
    """Cases about objects, errors and surfaces, by one wire and by the other: verdicts, and object by object what was said.

    Where the end of a case cuts an object's history short, what is there has to be the beginning of the other one.
    """
    ways, compared = _ways(trial), 0
    for one in catalogue.cases():
        if not one.id.startswith(COMPARED) or one.run_class not in {RunClass.S, RunClass.D}:
            continue
        (verdict, reason, ours), (other_verdict, other_reason, theirs) = (_tried(one, way) for way in ways)
        trial.check(
            verdict == other_verdict, f"{one.id}: {verdict} ({reason}) and {other_verdict} ({other_reason})"
        )
        for key in {**ours, **theirs}:
            short, long = sorted((ours.get(key, []), theirs.get(key, [])), key=len)
            name, number, incoming = key
            what = f"{one.id}: object {number} of {name} {'heard' if incoming else 'said'}"
            trial.check(long[: len(short)] == short, f"{what} {short} by one wire, {long} by the other")
        compared += 1
    trial.note(f"{compared} cases")


def _error_by(trial: Trial, line: Line, name: str) -> tuple[ProtocolError | None, list[str]]:
    """The verdict on two surface objects for one surface, and what came after it."""
    client = trial.client(name, line=line)
    manager, surface = client.bind(SYNCOBJ), client.surface()
    for _ in range(2):
        manager.make("get_surface", surface)
    for _ in range(5):
        surface.make("frame")
        surface.send("commit")
    client.expect_error(manager, "surface_exists")
    heard = [str(said.message) for said in trial.said if said.connection == name and said.incoming]
    return client.error, heard[heard.index("wl_display.error") + 1 :]


@case("S4 S8", X, needs=NEEDS, device=True)
def test_trn_02_an_error_is_the_same_and_the_last_word(trial: Trial) -> None:
    """The same object and code by either wire, and nothing behind it, although the client went on talking."""
    verdicts = [_error_by(trial, line, f"by line {number}") for number, line in enumerate(trial.lines)]
    errors = [(error.interface, error.object_id, error.code) for error, _ in verdicts if error is not None]
    trial.check(errors[0] == errors[1], f"{errors[0]} by one wire, {errors[1]} by the other")
    for _, rest in verdicts:
        trial.check(not rest, f"after the error came {rest}")


@case("S60", X, needs=NEEDS, device=True)
def test_trn_03_nothing_overtakes(trial: Trial) -> None:
    """Messages with descriptors, long ones and short ones in turn: they are answered in their order."""
    for line in trial.lines:
        _check_order(trial, line)


def _check_order(trial: Trial, line: Line) -> None:
    client = trial.client(line=line)
    window, order = Window(trial, client), list[int]()
    timelines = [trial.device.timeline() for _ in range(ROUNDS)]
    for number, timeline in enumerate(timelines):
        imported = client.timeline(timeline)
        if number % 10 == 0:
            window.toplevel.send("set_title", LONG)
        window.sync_object.send("set_acquire_point", imported, number)
        imported.send("destroy")
        client.display.sync(lambda _, n=number: order.append(n))  # type: ignore[misc]
    trial.expect(lambda: len(order) == ROUNDS, f"{ROUNDS} answers")
    trial.check(order == sorted(order), f"answers in the order {order}")
    for timeline in timelines:
        timeline.destroy()


@case("S15", X, needs=NEEDS, device=True)
def test_trn_04_what_is_no_timeline_is_none_by_either_wire(trial: Trial) -> None:
    """A descriptor of something else, whichever way it came."""
    for line in trial.lines:
        client = trial.client(line=line)
        manager = client.bind(SYNCOBJ)
        fd = os.memfd_create("no timeline")
        manager.make("import_timeline", fd)
        os.close(fd)
        trial.note(client.expect_error(manager, "invalid_timeline"))


@case("S25", X, needs=NEEDS, device=True)
def test_trn_05_points_have_64_bits_on_either_wire(trial: Trial) -> None:
    """A release point of 2^63 and one just below 2^64 are reached, and nothing beside them."""
    for line in trial.lines:
        window, frames = Window(trial, trial.client(line=line)), list[Frame]()
        for value in (1 << 63, (1 << 64) - 2):
            frames.append(
                window.show(window.image(), acquire=window.new_point(value), release=window.new_point(value))
            )
            window.settle(frames[-1])
        window.hide()
        trial.expect(lambda f=frames: all(each.is_released for each in f), "both release points")  # type: ignore[misc]
        for frame in frames:
            assert frame.release is not None, "explicit"
            reached = frame.release.timeline.value()
            trial.check(reached == frame.release.value, f"{reached:#x} instead of {frame.release.value:#x}")


@case("S80 S94", X, needs=NEEDS, device=True)
def test_trn_06_who_hangs_up_is_paid_by_either_wire(trial: Trial) -> None:
    """A shown frame and one that never became ready: both points are reached when the client has gone."""
    for line in trial.lines:
        client = trial.client(line=line)
        window = Window(trial, client)
        frames = [window.show(window.image())]
        window.settle(frames[0])
        frames.append(window.show(window.image(), ready=False))
        client.roundtrip()
        client.close()
        trial.expect(lambda f=frames: all(each.is_released for each in f), "what is owed to who hung up")  # type: ignore[misc]


@case("S70", X, priority=2, needs=NEEDS, device=True)
def test_trn_07_who_does_not_read_loses_nothing_silently(trial: Trial) -> None:
    """Thousands of answers unread: in the end every one of them, or a first part of them and a hang-up."""
    for line in trial.lines:
        _leave_unread(trial, line)


def _leave_unread(trial: Trial, line: Line) -> None:
    client = trial.client("deaf", line=line)
    client.forgiven = True
    order: list[int] = []
    client.stop_reading()
    for number in range(UNREAD):
        client.display.sync(lambda _, n=number: order.append(n))  # type: ignore[misc]
    client.flush()
    trial.pass_ms(100)
    client.read_again()
    trial.until(lambda: bool(client.gone) or len(order) == UNREAD, within_ns=LONG_NS)
    trial.check(order == list(range(len(order))), "an answer is missing in between")
    trial.check(bool(client.gone) or len(order) == UNREAD, "some answers never came, and nobody hung up")
    trial.note(f"{len(order)} of {UNREAD} answers{' and a hang-up' if client.gone else ''}")


def _born(trial: Trial, line: Line) -> tuple[Client, Window, Frame]:
    client = trial.client(line=line)
    window = Window(trial, client)
    return client, window, window.show(window.image())


@case("S12", X, priority=2, needs=NEEDS, device=True)
def test_trn_08_a_new_connection_has_no_past(trial: Trial) -> None:
    """The same numbers name other things now: explicit sync can be had for them, and the old frame is paid."""
    for line in trial.lines:
        client, window, frame = _born(trial, line)
        window.settle(frame)
        client.close()
        _, again, shown = _born(trial, line)
        trial.check(again.wl.id == window.wl.id, "its first surface has another number")
        again.settle(shown)
        trial.expect(lambda f=frame: f.is_released, "what is owed to the life before")  # type: ignore[misc]
