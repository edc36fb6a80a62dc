"""Who waits for a user fence, and where: one test with real processes for each place where waiting is right (F27)."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

SYNCLINE = [sys.executable, "-m", "syncline"]
SOCKET = "wayland-t"
STALL = "stall on a user fence"

Event = dict[str, Any]


class Stack:
    """A device under its checker, a compositor on it, clients one after the other."""

    def __init__(self, folder: Path, owned: ExitStack, device: list[str], compositor: list[str]) -> None:
        self._folder = folder
        self._environment = os.environ | {"XDG_RUNTIME_DIR": str(folder)}
        node, ready = folder / "card0", folder / "ready"
        os.mkfifo(ready)
        words = ["device", "--socket", str(node), "--output", "640x480@60", "--check", "collect"]
        self._device = self._start([*words, "--ready", str(ready), *self._events_of("device"), *device])
        owned.callback(self._end, self._device)
        ready.read_text()
        words = ["compositor", "--socket", SOCKET, "--device", str(node)]
        words += ["--zmq", f"ipc://{folder}/messages"]
        self._compositor = self._start([*words, *self._events_of("compositor"), *compositor])
        owned.callback(self._end, self._compositor)
        assert self._compositor.stdout is not None
        assert "ready" in self._compositor.stdout.readline()
        self._places = ["--socket", SOCKET, "--device", str(node), "--endpoint", f"ipc://{folder}/messages"]

    def client(self, demo: str, *words: str, name: str = "client") -> "subprocess.Popen[str]":
        return self._start(["client", demo, *self._places, *self._events_of(name), *words])

    def run(self, demo: str, *words: str) -> list[Event]:
        """Its events. Every commit is answered and every image comes back."""
        client = self.client(demo, *words)
        assert client.communicate() == ("", "")
        assert client.returncode == 0
        events = self.heard("client")
        end = events[-1]
        assert end["presented"] == end["committed"] == end["owed"] == end["paid"] > 0
        return events

    def heard(self, name: str) -> list[Event]:
        return [json.loads(line) for line in (self._folder / f"{name}.jsonl").read_text().splitlines()]

    def end(self) -> Counter[tuple[str, str]]:
        """Everybody goes home. Who slept in the kernel for user space, and why, how often; the checker has said nothing."""
        self._end(self._compositor)
        _, said = self._end(self._device)
        assert said == ""
        waits = (event for event in self.heard("device") if event["ev"] == "wait" and event["end"])
        return Counter((event["who"].split()[0], event["reason"]) for event in waits)

    def _events_of(self, name: str) -> list[str]:
        return ["--events", str(self._folder / f"{name}.jsonl")]

    def _start(self, words: list[str]) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [*SYNCLINE, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=self._environment
        )  # fmt: skip

    def _end(self, process: "subprocess.Popen[str]") -> tuple[str, str]:
        if process.poll() is not None and process.stdout is not None and process.stdout.closed:
            return "", ""
        process.terminate()
        return process.communicate()


@pytest.fixture
def start() -> Iterator[Callable[..., Stack]]:
    """`start("--sync", "dma", device=["--profile", …])`: a compositor with these words."""
    with ExitStack() as owned:

        def start(*compositor: str, device: tuple[str, ...] = ()) -> Stack:
            folder = Path(tempfile.mkdtemp(prefix="sl-"))
            owned.callback(shutil.rmtree, folder)
            return Stack(folder, owned, list(device), list(compositor))

        yield start


def waits(events: list[Event], why: str) -> list[Event]:
    return [
        event for event in events if event["ev"] == "wait" and event["edge"] == "end" and event["why"] == why
    ]


@pytest.mark.requirement("F27", "UR5")
def test_in_the_full_new_stack_the_commit_worker_waits(start: Callable[..., Stack]) -> None:
    stack = start("--acquire", "user-forward")
    stack.run("userfence", "--fullscreen", "--gpu-ms", "40", "--frames", "8")
    slept = stack.end()

    assert 0 < slept["CRTC", "user-fence"] <= 7, "the first picture has none before it to keep"
    assert not any(reason in {STALL, "syncobj"} for _, reason in slept)
    parked = waits(stack.heard("compositor"), "user-fence")
    assert {(event["thread"], event["call"]) for event in parked} == {
        ("kernel commit worker", "PENDING_USER")
    }


@pytest.mark.requirement("F27", "F43")
def test_where_the_display_takes_no_user_fences_the_compositor_waits(start: Callable[..., Stack]) -> None:
    stack = start("--acquire", "user-forward", device=("--profile", "syncline-dma-kms"))
    stack.run("userfence", "--fullscreen", "--gpu-ms", "40", "--frames", "6")
    slept = stack.end()

    assert not any(reason in {STALL, "syncobj", "user-fence"} for _, reason in slept)
    assert 0 < len(waits(stack.heard("compositor"), "acquire-point")) <= 6


@pytest.mark.requirement("F27")
def test_a_compositor_of_dma_fences_waits_when_it_collects_frames_and_nobody_else_does(
    start: Callable[..., Stack],
) -> None:
    stack = start("--sync", "dma")
    with stack.client("shm", "--client-id", "2", name="bystander") as bystander:
        stack.run("userfence", "--gpu-ms", "40", "--frames", "8", "--wire", "zmq")
        bystander.terminate()
        bystander.communicate()
    slept = stack.end()

    assert not any(reason in {STALL, "syncobj", "user-fence"} for _, reason in slept)
    held = waits(stack.heard("compositor"), "acquire-point")
    assert 0 < len(held) <= 8
    assert {(event["thread"], event["call"]) for event in held} == {("compositor loop", "epoll_wait")}
    light = stack.heard("bystander")[-1]
    assert light["presented"] > 2 * 8, "at a frame each refresh, while the other needed three of them for one"


@pytest.mark.requirement("F27", "F26")
def test_without_the_protocol_the_clients_submit_thread_waits(start: Callable[..., Stack]) -> None:
    stack = start("--sync", "implicit")
    events = stack.run("submit-thread", "--gpu-ms", "20", "--frames", "8")
    slept = stack.end()

    told = [event for event in events if event["ev"] == "client_waited"]
    assert {(event["thread"], event["call"]) for event in told} == {("submit", "SYNCOBJ_TIMELINE_WAIT")}
    assert len(told) == 8
    assert 0 < slept["pid", "syncobj"] <= 8, "whose job has ended by then does not sleep"
    assert not slept["pid", STALL]


@pytest.mark.requirement("F25", "F26")
def test_a_client_that_does_it_wrong_sleeps_in_the_kernels_last_resort_and_is_counted(
    start: Callable[..., Stack],
) -> None:
    stack = start("--sync", "implicit")
    events = stack.run("submit-thread", "--no-thread", "--gpu-ms", "20", "--frames", "8", "--wire", "zmq")
    slept = stack.end()

    told = [event for event in events if event["ev"] == "client_waited"]
    assert {(event["thread"], event["call"]) for event in told} == {("main", "SYNCOBJ_TRANSFER")}
    assert 0 < slept["pid", STALL] <= len(told) == 8
