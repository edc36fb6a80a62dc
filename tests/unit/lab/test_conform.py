"""`syncline conform`: verdicts, how they are told, what they are compared with, how it ends."""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree as ET

import pytest

from syncline.conformance.case import Case, RunClass
from syncline.conformance.judge import Result, Verdict, judge
from syncline.conformance.target import Stand
from syncline.conformance.trial import Trial
from syncline.conformance.verdict import Failure
from syncline.kms_model.presence import answers
from syncline.lab.cli import main
from syncline.lab.conform.baseline import load
from syncline.lab.conform.formats import json_line, tap, write_junit
from syncline.lab.conform.virtual import VirtualTarget


def case(body: Callable[[Trial], None], *, practice: bool = False, needs: tuple[str, ...] = ()) -> Case:
    """Is never in the catalogue."""
    return Case("XXX-01", "told", ("S1",), RunClass.S, 1, needs, False, practice, body)


class OneStand:
    """A target that is never started again, like somebody's socket."""

    name = "one"

    def __init__(self, stand: Stand) -> None:
        self._stand = stand

    @contextmanager
    def stand(self) -> Iterator[Stand]:
        yield self._stand


def fails(trial: Trial) -> None:
    raise Failure("as asked")


def verdict(body: Callable[[Trial], None], **how: bool | tuple[str, ...]) -> Result:
    return judge(case(body, **how), VirtualTarget(), seed=0, practice=False)


def test_each_end_of_a_case_is_a_verdict_of_its_own() -> None:
    assert verdict(lambda trial: trial.note("well")).reason == "well"
    assert verdict(fails).verdict is Verdict.FAIL
    assert verdict(fails, practice=True).verdict is Verdict.WARN
    assert verdict(fails, practice=True).practice
    asked = judge(case(fails, practice=True), VirtualTarget(), seed=0, practice=True)
    assert asked.verdict is Verdict.FAIL
    assert verdict(fails, needs=("wl_nothing",)).reason == "needs wl_nothing"
    assert verdict(lambda trial: 1 / 0).verdict is Verdict.BROKEN


def test_a_client_thrown_out_unexpectedly_fails_the_case() -> None:
    def rude(trial: Trial) -> None:
        trial.client().surface().send("set_buffer_scale", 0)
        trial.pass_ms(1)

    result = verdict(rude)
    assert result.verdict is Verdict.FAIL
    assert "invalid_scale (0) on wl_surface" in result.reason
    assert any("set_buffer_scale(0)" in line for line in result.messages)


def test_who_ends_the_compositor_fails_and_the_cases_after_it_are_not_to_blame() -> None:
    def deadly(trial: Trial) -> None:
        trial.stand.end()

    with VirtualTarget().stand() as stand:
        target = OneStand(stand)
        assert judge(case(deadly), target, seed=0, practice=False).verdict is Verdict.FAIL
        after = judge(case(lambda trial: None), target, seed=0, practice=False)
    assert after.verdict is Verdict.SKIP
    assert "a compositor that answers" in after.reason


def test_what_never_comes_is_waited_for_no_longer_than_patience() -> None:
    result = verdict(lambda trial: trial.expect(lambda: False, "nothing"))
    assert result.reason == "2000 ms and not yet: nothing"
    assert result.seconds == pytest.approx(2.0, abs=0.1)


def result(name: str, verdict: Verdict, reason: str = "") -> Result:
    return Result(name, verdict, reason, ("S1",), "S", 1, 0.5, messages=("a message",))


RESULTS = (
    result("A-01/a", Verdict.PASS),
    result("A-02/b", Verdict.FAIL, "late"),
    result("A-03/c", Verdict.SKIP, "needs #1"),
    result("A-04/d", Verdict.WARN, "slow"),
)


def test_tap_says_it_in_fourteen() -> None:
    lines = tap(RESULTS).splitlines()
    assert lines[:3] == ["TAP version 14", "1..4", "ok 1 - A-01/a"]
    assert "not ok 2 - A-02/b" in lines
    assert '  message: "late"' in lines
    assert "ok 3 - A-03/c # SKIP needs \\#1" in lines
    assert "not ok 4 - A-04/d # TODO practice" in lines


def test_junit_counts_what_it_lists(tmp_path: Path) -> None:
    write_junit(tmp_path / "out.xml", "somebody", RESULTS)
    suite = ET.parse(tmp_path / "out.xml").getroot()
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("4", "1", "1")
    assert len(suite.findall("testcase")) == 4
    assert suite.find("testcase/failure").get("message") == "late"


def test_a_json_line_leaves_the_messages_to_the_record() -> None:
    assert json.loads(json_line(RESULTS[1]))["messages"] == []


def test_a_baseline_knows_fails_flakes_and_skips(tmp_path: Path) -> None:
    (tmp_path / "x-fails.txt").write_text("# known\nA-02/b,Fail\nA-05/e,Fail\n")
    (tmp_path / "x-flakes.txt").write_text("A-06/.*\n")
    (tmp_path / "x-skips.txt").write_text("A-07\n")
    baseline = load(tmp_path / "x-fails.txt")
    assert [baseline.surprise(each) for each in RESULTS] == ["", "", "", ""]
    assert baseline.surprise(result("A-05/e", Verdict.PASS)) == "UnexpectedPass"
    assert baseline.surprise(result("A-01/a", Verdict.FAIL)) == "UnexpectedFail"
    assert baseline.surprise(result("A-06/f", Verdict.FAIL)) == ""
    assert baseline.leaves_out("A-07/g")


def test_a_run_ends_with_its_code(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["conform", "--virtual", "-k", "val-02"]) == 0
    assert "no_acquire_point (4) on wp_linux_drm_syncobj_surface_v1" in capsys.readouterr().out
    known = tmp_path / "known-fails.txt"
    known.write_text("VAL-02/a-buffer-without-acquire-is-no-acquire-point,Fail\n")
    assert main(["conform", "--virtual", "-k", "val-02", "--baseline", str(known)]) == 1
    assert "UnexpectedPass" in capsys.readouterr().out
    assert main(["conform", "-k", "no-such-case"]) == 2
    assert main(["conform", "--virtual", "--socket", "x"]) == 2
    assert main(["conform", "--socket", str(tmp_path / "nobody")]) == 2


def test_a_socket_that_nobody_listens_on_yet_does_not_answer() -> None:
    with TemporaryDirectory(prefix="syncline-") as folder, socket.socket(socket.AF_UNIX) as server:
        path = Path(folder, "wayland-1")
        assert not answers(path, socket.SOCK_STREAM)
        server.bind(str(path))
        assert not answers(path, socket.SOCK_STREAM)
        server.listen()
        assert answers(path, socket.SOCK_STREAM)
