"""Programs that are not ours, on our compositor: real libwayland, real toolkits, unmodified."""

import json
import os
import select
import shutil
import signal
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

FRAMES = 3
PATIENCE_S = 30.0
ERROR = "wl_display@1.error("


@dataclass(frozen=True)
class Foreign:
    """A program and what it needs to be told. `caps`: Debian 12's older ones die of versions they do not know."""

    command: str
    caps: tuple[str, ...] = ()
    frames: int = FRAMES
    statuses: tuple[int, ...] = (0, -signal.SIGTERM)


SHM = (
    Foreign("weston-simple-shm"),
    Foreign("weston-presentation-shm", caps=("xdg_wm_base=3",)),
    Foreign("weston-simple-damage", caps=("wl_compositor=4",)),
    Foreign("weston-flower", frames=1),
    Foreign("weston-subsurfaces"),
    Foreign("weston-terminal", frames=1),
    Foreign("foot", frames=1, statuses=(230,)),  # its word for a shell that SIGTERM made it hang up
)
TOOLKITS = (
    Foreign("gtk3-widget-factory", frames=1),
    Foreign("/usr/lib/qt5/bin/assistant", frames=1),
)


class Session:
    """A compositor process with its event stream, and programs started on it."""

    def __init__(self, runtime_dir: Path, caps: tuple[str, ...]) -> None:
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(runtime_dir),
            "XDG_RUNTIME_DIR": str(runtime_dir),
            "WAYLAND_DISPLAY": "wayland-foreign",
            "GDK_BACKEND": "wayland",
            "QT_QPA_PLATFORM": "wayland",
            "NO_AT_BRIDGE": "1",
            "LANG": "C.UTF-8",
        }
        self._events, written = os.pipe()
        words = ["--socket", "wayland-foreign", "--output", "1280x720@60", "--events", f"fd:{written}"]
        for cap in caps:
            words += ["--cap", cap]
        self.compositor = self._python("compositor", *words, pass_fds=(written,))
        os.close(written)
        assert "ready" in self.compositor.stdout.readline()
        self._unread = b""

    def _python(self, *words: str, pass_fds: tuple[int, ...] = ()) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "syncline", *words],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            pass_fds=pass_fds,
        )

    def start(self, foreign: Foreign, log: Path) -> subprocess.Popen[bytes]:
        with log.open("wb") as stderr:
            return subprocess.Popen(
                [foreign.command],
                env=self.environment | {"WAYLAND_DEBUG": "1"},
                stdout=subprocess.DEVNULL,
                stderr=stderr,
            )

    def frames_presented(self, wanted: int) -> int:
        """Read the event stream until so many frames were presented; fewer when nothing comes for long."""
        seen, end = 0, time.monotonic() + PATIENCE_S
        while seen < wanted and (left := end - time.monotonic()) > 0:
            if not select.select([self._events], [], [], left)[0]:
                break
            data = os.read(self._events, 65536)
            if not data:
                break
            *lines, self._unread = (self._unread + data).split(b"\n")
            seen += sum(self._is_presented(json.loads(line)) for line in lines)
        return seen

    @staticmethod
    def _is_presented(event: dict[str, object]) -> bool:
        return event["ev"] == "frame" and event.get("presented_ns") is not None

    def photograph(self, file: Path) -> np.ndarray:
        run = self._python("screenshot", str(file), "--socket", "wayland-foreign")
        _, err = run.communicate()
        assert run.returncode == 0, err
        return _pixels(file)

    def end(self) -> tuple[int, str]:
        self.compositor.send_signal(signal.SIGTERM)
        _, err = self.compositor.communicate()
        os.close(self._events)
        return self.compositor.returncode, err

    def kill(self) -> None:
        if self.compositor.returncode is None:
            self.compositor.kill()
            self.compositor.communicate()


def _pixels(file: Path) -> np.ndarray:
    """Our own photographs are unfiltered 8-bit RGB: shape (height, width, 3)."""
    data = file.read_bytes()
    width, height = struct.unpack_from(">II", data, 16)
    start = data.index(b"IDAT") + 4
    rows = np.frombuffer(zlib.decompress(data[start:]), np.uint8).reshape(height, 1 + 3 * width)
    return rows[:, 1:].reshape(height, width, 3)


@pytest.fixture
def session(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Session]:
    foreign = request.getfixturevalue("foreign") if "foreign" in request.fixturenames else None
    started = Session(tmp_path, foreign.caps if foreign else ())
    yield started
    started.kill()


def _needs(command: str) -> None:
    if shutil.which(command) is None:
        pytest.skip(f"{command} is not installed (see .ci/packages)")


def _stop(client: subprocess.Popen[bytes]) -> int:
    client.send_signal(signal.SIGTERM)
    return client.wait(timeout=PATIENCE_S)


@pytest.mark.parametrize("foreign", [*SHM, *TOOLKITS], ids=lambda foreign: Path(foreign.command).name)
def test_a_real_program_is_shown_without_a_protocol_error(
    session: Session, foreign: Foreign, tmp_path: Path
) -> None:
    _needs(foreign.command)
    log = tmp_path / "client.log"
    client = session.start(foreign, log)
    try:
        assert session.frames_presented(foreign.frames) >= foreign.frames, log.read_text()[-2000:]
        picture = session.photograph(tmp_path / "shot.png")
        assert client.poll() is None, log.read_text()[-2000:]
    finally:
        status = _stop(client)
    assert status in foreign.statuses
    assert ERROR not in log.read_text()
    background = picture[-1, -1]
    shown = (picture != background).any(axis=2).mean()
    assert shown > 0.005, "the window is on the screen"  # a flower is small at times
    assert session.end() == (0, "")


def test_wayland_info_lists_what_is_advertised_and_leaves(session: Session) -> None:
    _needs("wayland-info")
    run = subprocess.run(
        ["wayland-info"],
        env=session.environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_S,
    )
    for name in ("wl_compositor", "xdg_wm_base", "wp_linux_drm_syncobj_manager_v1", "zwp_linux_dmabuf_v1"):
        assert f"'{name}'" in run.stdout
    assert session.end() == (0, "")


def test_several_real_programs_share_the_screen_with_an_explicit_sync_client(
    session: Session, tmp_path: Path
) -> None:
    for foreign in SHM:
        _needs(foreign.command)
    clients = [session.start(SHM[0], tmp_path / "shm.log"), session.start(SHM[-1], tmp_path / "foot.log")]
    ours = session._python("client", "solid", "--socket", "wayland-foreign", "--frames", "30")
    out, err = ours.communicate(timeout=PATIENCE_S)
    assert ours.returncode == 0, (out, err)
    for client in clients:
        assert client.poll() is None
        _stop(client)
    assert session.end() == (0, "")
