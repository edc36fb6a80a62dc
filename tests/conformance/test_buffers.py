"""Viewports and dma-bufs: what is judged when (protocol.md 5.8, VPT and DMA)."""

import os
from collections.abc import Callable
from typing import Final

from syncline.conformance.case import DMABUF, PRESENTATION, SYNCOBJ, RunClass, case
from syncline.conformance.pace import Witnesses, check_after, held, presented
from syncline.conformance.thing import Thing
from syncline.conformance.trial import Trial
from syncline.conformance.window import Window
from syncline.protocol.fd import ReceivedFd

S, D, M = RunClass.S, RunClass.D, RunClass.M
VIEWPORTER: Final = "wp_viewporter"
XRGB8888: Final = 0x34325258
NONSENSE: Final = 0x21212121
ENTRY_BYTES: Final = 16
SAMPLING: Final = 2
"""zwp_linux_dmabuf_feedback_v1.tranche_flags, from version 6 on."""


def _viewport(trial: Trial, name: str) -> tuple[Window, Thing]:
    window = Window(trial, trial.client(name), explicit=False)
    return window, window.client.bind(VIEWPORTER).make("get_viewport", window.wl)


@case("V1 V2 V3", S, priority=2, needs=(VIEWPORTER,))
def test_vpt_01_values_are_judged_at_once_and_sizes_when_applied(trial: Trial) -> None:
    """bad_value and no_surface at the request; bad_size and out_of_buffer with the content; NULL excuses."""
    window, viewport = _viewport(trial, "bad_value")
    viewport.send("set_destination", 0, 5)
    trial.note(window.client.expect_error(viewport, "bad_value"))

    client = trial.client("no_surface")
    surface = client.surface()
    viewport = client.bind(VIEWPORTER).make("get_viewport", surface)
    surface.send("destroy")
    viewport.send("set_destination", 5, 5)
    trial.note(client.expect_error(viewport, "no_surface"))

    for name, source in (("bad_size", (0, 0, 1.5, 1.5)), ("out_of_buffer", (0, 0, 65, 64))):
        window, viewport = _viewport(trial, name)
        window.settle(window.show(window.client.shm_buffer()))
        viewport.send("set_source", *map(float, source))
        window.client.roundtrip()
        window.wl.send("commit")
        trial.note(window.client.expect_error(viewport, name))

    window, viewport = _viewport(trial, "null")
    window.settle(window.show(window.client.shm_buffer()))
    viewport.send("set_source", 0.0, 0.0, 500.0, 500.0)
    window.hide()
    window.client.roundtrip()


def _feedback(trial: Trial, version: int) -> tuple[list[str], list[int], bytes]:
    """The events of a default feedback in order, the flags of its tranches, and the format table."""
    client = trial.client(f"version {version}")
    dmabuf = client.bind(DMABUF, version=version)
    feedback, table = dmabuf.make("get_default_feedback"), bytearray()

    def read(fd: ReceivedFd, size: int) -> None:
        table.extend(os.pread(fd.fileno(), size, 0))

    feedback.hooks["format_table"] = read
    trial.expect(lambda: feedback.count("done") > 0, "zwp_linux_dmabuf_feedback_v1.done")
    client.roundtrip()
    trial.check(not dmabuf.heard, "format or modifier events from version 4 on")
    flags = [each.arguments[0] for each in feedback.heard if each.event == "tranche_flags"]
    return [each.event for each in feedback.heard], flags, bytes(table)


@case("D1 D2 D3 D4 D5", D, priority=2, needs=(f"{DMABUF}:4",))
def test_dma_01_feedback_comes_in_order_and_whole(trial: Trial) -> None:
    """Table, device, tranches each closed, done; 16 bytes an entry and no pair twice."""
    look = trial.client("versions")
    versions = [each for each in (4, 5, 6) if look.offers(DMABUF, each)]
    for version in versions:
        events, flags, table = _feedback(trial, version)
        trial.check(events.count("main_device") == (version < 6), f"version {version}: {', '.join(events)}")
        trial.check(events[-1] == "done", f"version {version} ends with {events[-1]}")
        if version >= 6:
            trial.check(all(flags), "a tranche that is good for nothing")
            trial.check(any(each & SAMPLING for each in flags), "no tranche is for sampling")
        closed = events.count("tranche_done")
        trial.check(closed >= 1, "no tranche at all")
        for each in ("tranche_target_device", "tranche_flags"):
            trial.check(events.count(each) == closed, f"{closed} tranches, {events.count(each)} {each}")
        trial.check(bool(table) and len(table) % ENTRY_BYTES == 0, f"a table of {len(table)} bytes")
        entries = [table[at : at + ENTRY_BYTES] for at in range(0, len(table), ENTRY_BYTES)]
        trial.check(len({e[:4] + e[8:] for e in entries}) == len(entries), "a pair is there twice")
    trial.note(f"versions {', '.join(map(str, versions))}")


@case("D6 D7 D9", D, priority=2, needs=(f"{DMABUF}:4",))
def test_dma_04_what_is_wrong_with_a_buffer_is_said_by_its_params(trial: Trial) -> None:
    """Planes set twice, beyond the last, missing; sizes, formats and devices that cannot be."""
    image = trial.device.image()

    def add(made: Thing, plane: int = 0, *, offset: int = 0) -> Thing:
        made.send("add", image.fd, plane, offset, image.pitch, 0)
        return made

    def create(made: Thing, width: int = 64, height: int = 64, *, format: int = XRGB8888) -> Thing:
        made.send("create", width, height, format, 0)
        return made

    wrong: dict[str, Callable[[Thing], Thing]] = {
        "plane_idx": lambda made: add(made, 9),
        "plane_set": lambda made: add(add(made)),
        "incomplete": create,
        "invalid_format": lambda made: create(add(made), format=NONSENSE),
        "invalid_dimensions": lambda made: create(add(made), 0, 64),
        "out_of_bounds": lambda made: create(add(made, offset=1 << 20)),
        "already_used": lambda made: create(create(add(made))),
    }
    if trial.client("look").offers(DMABUF, 6):
        wrong["invalid_dev_t_size"] = _sample_on_three_bytes
    for name, provoke in wrong.items():
        client = trial.client(name)
        made = client.bind(DMABUF).make("create_params")
        provoke(made)
        client.expect_error(made, name)
    trial.note(f"{len(wrong)} errors, each its own")


def _sample_on_three_bytes(params: Thing) -> Thing:
    params.send("set_sampling_device", b"\0\0\0")
    return params


@case("D8", M, priority=2, needs=(DMABUF, SYNCOBJ, PRESENTATION), device=True)
def test_dma_02_a_buffer_that_cannot_be_used_any_more_is_no_fault_of_its_client(trial: Trial) -> None:
    """Imported well, then the display takes no framebuffer and the GPU no job: no error, and later frames are shown."""
    window = Window(trial)
    window.settle(window.show(window.image()))
    buffer = window.image()
    window.client.roundtrip()
    trial.faults.inject("ModeAddFb2=ENODEV:1:*", "Submit=ENODEV:1:*")
    lost = window.show(buffer)
    trial.pass_ms(200)
    window.client.roundtrip()
    trial.faults.clear()
    last = window.show(window.image())
    presented(trial, last, what="a frame once the machine works again")
    trial.expect(lambda: lost.is_released, "the release point of the frame that could not be shown")
    trial.note(f"the frame meanwhile was {lost.outcome or 'neither presented nor discarded'}")


@case("D10 S61", M, needs=(DMABUF, PRESENTATION), device=True)
def test_dma_03_an_implicit_fence_is_waited_for_by_its_own_window_only(trial: Trial) -> None:
    """A writer's fence in the reservation: not shown before it is done, while a witness keeps its rate."""
    witnesses = Witnesses(trial)
    window = Window(trial, explicit=False)
    window.settle(window.show(window.image()))
    image, fence = trial.device.image(), trial.device.fence()
    fence.guard(image)
    late = window.show(window.client.buffer(image))
    held(trial, late, "an implicit frame whose writer is not done")
    witnesses.check()
    trial.check(not late.is_presented, "the frame was presented though its writer is not done")
    signalled_ns = trial.now_ns()
    fence.signal()
    presented(trial, late, what="the frame once its writer is done")
    check_after(trial, late, signalled_ns)
