"""`syncline trace`: a recording, filtered, as lines."""

from pathlib import Path
from typing import Any

import pytest

from syncline.lab.cli import main
from syncline.protocol.display import Display, Globals, Registry, serve
from syncline.protocol.recording import Recorder


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "compositor.rec"
    with path.open("wb") as file:
        recorder = Recorder(file, lambda: 1_000_002_000)
        for name in ("client-1", "client-2"):
            server = serve(Globals(), name=name, observer=recorder)
            display = Display.connect()
            display.get_registry(Registry)
            display.sync(lambda _: None)
            for data, fds in display.connection.take_output():
                server.receive(data, fds)
    return path


def printed(capsys: Any) -> list[str]:
    return [each.split("] ", 1)[1] for each in capsys.readouterr().out.splitlines()]


def test_a_recording_is_printed_whole(recording: Path, capsys: Any) -> None:
    assert main(["trace", str(recording)]) == 0

    assert capsys.readouterr().out.splitlines()[0] == (
        "[    1.000002] {client-1} wl_display#1.get_registry(new id wl_registry#2)"
    )


@pytest.mark.parametrize(
    "pattern", ["wl_callback.done", "wl_callback#3.done", "wl_callback#3.done(*", "*.done", "*done(0)"]
)
def test_patterns_choose_messages(recording: Path, capsys: Any, pattern: str) -> None:
    assert main(["trace", str(recording), "--match", pattern]) == 0

    assert printed(capsys) == [f"{{client-{n}}}  -> wl_callback#3.done(0)" for n in (1, 2)]


def test_patterns_add_up_and_a_connection_narrows(recording: Path, capsys: Any) -> None:
    words = ["--match", "*.sync", "--match", "*.done", "--connection", "client-2"]
    assert main(["trace", str(recording), *words]) == 0

    assert printed(capsys) == [
        "{client-2} wl_display#1.sync(new id wl_callback#3)",
        "{client-2}  -> wl_callback#3.done(0)",
    ]


def test_nothing_that_matches_is_a_failure(recording: Path, capsys: Any) -> None:
    assert main(["trace", str(recording), "--match", "wl_surface.*"]) == 1
    assert printed(capsys) == []


@pytest.mark.parametrize("content", [None, "text"])
def test_what_is_no_recording_is_told_in_a_sentence(tmp_path: Path, capsys: Any, content: str | None) -> None:
    path = tmp_path / "file"
    if content is not None:
        path.write_text(content)

    assert main(["trace", str(path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
