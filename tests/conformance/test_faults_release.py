"""When the display, a copy or a reset decides whether a buffer is still read (protocol.md 5.4, class M)."""

from collections.abc import Callable
from itertools import pairwise
from typing import Final

from syncline.conformance.camera import CAPTURE, SOURCE, Camera
from syncline.conformance.case import DMABUF, PRESENTATION, SYNCOBJ, RunClass, case
from syncline.conformance.device import Device, Image
from syncline.conformance.pace import check_after, check_rate, rate
from syncline.conformance.screen import vblanks
from syncline.conformance.thing import Thing
from syncline.conformance.trial import Trial
from syncline.conformance.window import Frame, Window
from syncline.protocol.enums import WpPresentationFeedback

M = RunClass.M
NEEDS: Final = (SYNCOBJ, DMABUF, PRESENTATION)
CAMERA: Final = (*NEEDS, CAPTURE, SOURCE)
FRAMES: Final = 12
LATE_NS: Final = 5_000_000_000
MS: Final = 1_000_000
SLOW_NS: Final = 12 * MS
PAINTING_MS: Final = 20
ZERO_COPY: Final = int(WpPresentationFeedback.Kind.ZERO_COPY)
VSYNC: Final = int(WpPresentationFeedback.Kind.VSYNC)
RED: Final = 0xC02020
BLUE: Final = 0x2020C0
POISON: Final = 0x00FF01
"""No other image of the suite has it."""


def flags(frame: Frame) -> int:
    """Of its presented event."""
    assert frame.feedback is not None, "asked for"
    return int((frame.feedback.last("presented") or [0])[-1])


def all_back(trial: Trial, frames: list[Frame]) -> None:
    trial.expect(
        lambda: all(each.is_released for each in frames), f"{len(frames)} release points", within_ns=LATE_NS
    )


def _check_after_successor(trial: Trial, frames: list[Frame], *, only_direct: bool = True) -> None:
    """A frame on a plane is read until the frame after it is on screen."""
    direct = 0
    for frame, successor in pairwise(frames):
        if only_direct and not flags(frame) & ZERO_COPY:
            continue
        direct += 1
        early_ms = (successor.presented_ns - frame.released_ns) / 1e6
        trial.check(early_ms <= 0, f"released {early_ms:.3f} ms before the flip that took it off the screen")
    trial.note(f"{direct} of {len(frames) - 1} were scanned out directly")


def _stream(trial: Trial, window: Window, *, faults: str = "") -> list[Frame]:
    frames = []
    for number in range(FRAMES):
        if faults and number % 3 == 1:
            trial.faults.inject(faults)
        frames.append(window.show(window.image()))
        trial.expect(lambda: frames[-1].is_presented, "presentation", within_ns=LATE_NS)
    window.hide()
    all_back(trial, frames)
    return frames


@case("S71", M, needs=NEEDS, device=True)
def test_rel_23_scanned_out_until_the_next_flip(trial: Trial) -> None:
    """The display reads an image until the flip after it, not until its own."""
    _ = trial.faults
    _check_after_successor(trial, _stream(trial, Window(trial)))


@case("S71", M, priority=2, needs=NEEDS, device=True)
def test_rel_33_a_rejected_flip_frees_nothing(trial: Trial) -> None:
    """The display says EBUSY three times: the image stays until the flip that really replaces it."""
    _check_after_successor(trial, _stream(trial, Window(trial), faults="ModeAtomic=EBUSY:1:3"))


@case("S71 S74", M, priority=2, needs=NEEDS, device=True)
def test_rel_25_from_planes_to_composition_and_back(trial: Trial) -> None:
    """Every third frame is turned by 90 degrees, which no plane here can do."""
    _ = trial.faults
    window, frames = Window(trial), []
    for number in range(FRAMES):
        window.wl.send("set_buffer_transform", int(number % 3 == 2))
        frames.append(window.show(window.image()))
        trial.expect(lambda: frames[-1].is_presented, "presentation")
    window.hide()
    all_back(trial, frames)
    turned = [flags(each) & ZERO_COPY for each in frames[2::3]]
    trial.check(not any(turned), "a turned image was said to be scanned out directly")
    _check_after_successor(trial, frames)


@case("S71 S88", M, needs=NEEDS, device=True)
def test_rel_24_the_slower_of_two_outputs_decides(trial: Trial) -> None:
    """A surface across two screens: each lets go at its own vblank, the release is the last of them."""
    _ = trial.faults
    screens = vblanks(trial.device)
    trial.check(len(screens) > 1, "there is one screen only")
    window, frames = Window(trial), list[Frame]()
    window.client.bind_all("wl_output")
    width = 1 << 11
    for _ in range(FRAMES):
        frames.append(window.show(window.image(width, 64)))
        trial.expect(lambda: frames[-1].is_presented, "presentation")
        trial.pass_ms(40)
    trial.check(window.wl.count("enter") > 1, "it is on one screen only")
    window.hide()
    all_back(trial, frames)
    for frame, successor in pairwise(frames):
        free_ns = max(each.first_after(successor.committed_ns) for each in screens)
        early_ms = (free_ns - frame.released_ns) / 1e6
        trial.check(early_ms < 0.1, f"released {early_ms:.3f} ms before the slower screen could have let go")


@case("S71", M, needs=NEEDS, device=True)
def test_rel_36_a_composition_under_way_holds_the_release_back(trial: Trial) -> None:
    """Painting a screen takes 12 ms; an image that was shown is not given back sooner, whenever it was replaced."""
    window = Window(trial)
    window.settle(window.show(window.image()))
    trial.faults.inject("slow-job=12ms:1:*")
    frames = []
    for number in range(FRAMES * 2):
        window.wl.send("set_buffer_transform", 1)  # which no plane here can do
        frames.append(window.show(window.image()))
        trial.pass_ms(1 + number % 16)
    window.hide()
    all_back(trial, frames)
    composed = [each for each in frames if each.is_presented and not flags(each) & ZERO_COPY]
    for frame in composed:
        after_ns = _back_ns(frame) - frame.committed_ns
        trial.check(after_ns >= SLOW_NS, f"released {after_ns / 1e6:.3f} ms after its commit")
    trial.note(f"{len(composed)} of {len(frames)} were composed")


def _back_ns(frame: Frame) -> int:
    """By its fence; a point signalled by hand has one from before the commit, and then by when we heard of it."""
    assert frame.released is not None
    assert frame.released.at_ns is not None
    return frame.released_ns if frame.released_ns > frame.committed_ns else frame.released.at_ns


@case("S71", M, needs=CAMERA, device=True)
def test_rel_26_a_copy_under_way_holds_the_release_back(trial: Trial) -> None:
    """A capture takes 150 ms; meanwhile its image is replaced and hidden, and poisoned once it is given back."""
    window, camera = Window(trial), Camera(trial)
    image = trial.device.image(colour=RED)
    frame = window.show(window.client.buffer(image))
    window.settle(frame)
    trial.faults.inject("slow-job=150ms")
    shot = camera.begin()
    trial.pass_ms(40)
    trial.check(not shot.count("ready"), "the copy did not take its time: nothing is shown by this")
    window.settle(window.show(window.image()))
    window.hide()
    trial.until(lambda: frame.is_released or shot.count("ready") > 0)
    if frame.is_released:
        trial.device.paint(image, POISON)
    picture = camera.finish(shot)
    trial.expect(lambda: frame.is_released, "the release point once the copy is done")
    trial.check(not picture.count(POISON), "the picture shows what was painted after the release")
    trial.check(picture.count(RED) == 64 * 64, "the picture does not show the image that was there")


@case("S70", M, needs=NEEDS, device=True)
def test_rel_29_a_reset_of_the_gpu_loses_no_point(trial: Trial) -> None:
    """Seven resets amid compositions that take 10 ms: every frame ends, every point is reached, others go on."""
    window, witness = Window(trial), Window(trial, trial.client("witness"), explicit=False)
    buffer = witness.image()
    before = rate(trial, witness, buffer)
    trial.faults.inject("slow-job=10ms:1:*", "gpu-reset:30ms:7")
    frames = []
    for _ in range(FRAMES):
        window.wl.send("set_buffer_transform", 1)
        frames.append(window.show(window.image()))
        window.settle(frames[-1])
    trial.faults.clear()
    window.hide()
    all_back(trial, frames)
    trial.expect(lambda: all(each.outcome for each in frames), "an end of every feedback")
    check_rate(trial, before, rate(trial, witness, buffer))


@case("S75", M, needs=CAMERA, device=True)
def test_rel_31_who_shares_a_release_timeline_can_see_an_overwrite(trial: Trial) -> None:
    """A later point of another image reads as the earlier one: its client paints over what is still shown."""
    _ = trial.faults
    first, second = Window(trial), Window(trial, trial.client("second"))
    camera = Camera(trial)
    image = trial.device.image(colour=RED)
    shared = trial.device.timeline()
    points = [each.point_on(shared, value) for each, value in ((first, 1), (second, 2))]
    kept = first.show(first.client.buffer(image), release=points[0])
    first.settle(kept)
    gone = second.show(second.image(), release=points[1])
    second.settle(gone)
    trial.check(not kept.is_released, "the image that is shown was released")
    second.hide()
    trial.expect(lambda: gone.is_released and kept.is_released, "both points, with the later one")
    trial.device.paint(image, POISON)
    trial.check(camera.photograph().count(POISON) > 0, "it is not to be seen, so it was not shown any more")
    trial.note("the image was painted over while it was shown, as its timeline allowed")


@case("S71 S86", M, needs=CAMERA, device=True)
def test_rel_32_nobody_reads_after_the_release(trial: Trial) -> None:
    """Pictures that take 60 ms, and images poisoned the moment they come back: no picture shows poison."""
    window, camera = Window(trial), Camera(trial)
    trial.faults.inject("slow-job=60ms:1:*")
    images = [trial.device.image(colour=BLUE) for _ in range(3)]
    buffers = [window.client.buffer(each) for each in images]
    last: dict[int, Frame] = {}
    back: list[Frame] = []

    def show(number: int) -> Frame:
        which = number % len(images)
        window.wl.send("set_buffer_transform", number // 2 % 2)
        trial.expect(lambda: which not in last or last[which].is_released, "an image back")
        trial.device.paint(images[which], BLUE)
        last[which] = window.show(buffers[which])
        return last[which]

    for number in range(0, FRAMES, 2):
        window.settle(show(number))
        shot = camera.begin()
        trial.pass_ms(30)
        show(number + 1)  # in the middle of the copy
        picture = _picture_while(trial, camera, shot, lambda: _poison(trial, images, last, back))
        trial.check(not picture.count(POISON), f"poison in the picture of image {number}")
    trial.note(f"{len(back)} images were painted over, none was seen")


@case("S56 S71", M, priority=2, needs=CAMERA, device=True)
def test_rel_34_an_image_of_another_gpu_is_held_until_it_was_read(trial: Trial) -> None:
    """Painted there in 20 ms and composed here in 12 ms: shown after the one, and given back after the other."""
    window, camera, other = Window(trial), Camera(trial), trial.other_device
    window.wl.send("set_buffer_transform", 1)  # which no plane here can do
    window.settle(_from(window, other))
    trial.check(camera.photograph().count(RED) == 64 * 64, "what the other one has painted is not to be seen")
    trial.faults.inject("slow-job=12ms:1:*")
    frames = []
    for number in range(FRAMES * 2):
        frames.append(_from(window, other))
        trial.pass_ms(PAINTING_MS + 1 + number % 16)
    window.hide()
    all_back(trial, frames)
    composed = [each for each in frames if each.is_presented]
    for frame in composed:
        assert frame.acquire is not None, "explicit"
        painted_ns = frame.acquire.timeline.reached_ns(1)
        check_after(trial, frame, painted_ns)
        after_ns = _back_ns(frame) - painted_ns
        trial.check(after_ns >= SLOW_NS, f"released {after_ns / 1e6:.3f} ms after it was painted")
    trial.note(f"{len(composed)} of {len(frames)} were composed")


def _from(window: Window, other: Device) -> Frame:
    """A red image that another device is painting, with points of that device."""
    image = other.image()
    acquire, release = (window.point_on(other.timeline(), 1) for _ in range(2))
    other.draw(image, RED, acquire.timeline, duration_ns=PAINTING_MS * MS)
    return window.show(window.client.buffer(image), acquire=acquire, release=release, ready=False)


def _picture_while(trial: Trial, camera: Camera, shot: Thing, step: Callable[[], None]) -> Image:
    """Wait for a picture; `step` is called whenever something happens meanwhile."""

    def is_over() -> bool:
        step()
        return shot.count("ready") + shot.count("failed") > 0

    trial.expect(is_over, "a picture", within_ns=LATE_NS)
    return camera.finish(shot)


def _poison(trial: Trial, images: list[Image], last: dict[int, Frame], back: list[Frame]) -> None:
    for at, frame in last.items():
        if frame.is_released and frame not in back:
            trial.device.paint(images[at], POISON)
            back.append(frame)


@case("P10", M, priority=2, needs=(*NEEDS, "wp_tearing_control_manager_v1"), device=True)
def test_pre_08_flags_say_what_happened(trial: Trial) -> None:
    """No zero_copy for what was turned, no vsync for what was shown away from a vblank."""
    _ = trial.faults
    window = Window(trial)
    tearing = window.client.bind("wp_tearing_control_manager_v1").make("get_tearing_control", window.wl)
    window.toplevel.send("set_fullscreen", None)
    window.settle(window.show(window.image(*_size(window))))
    tearing.send("set_presentation_hint", 1)
    torn = 0
    for number in range(FRAMES * 2):
        is_turned = number % 4 == 3
        window.wl.send("set_buffer_transform", int(is_turned))
        frame = window.show(window.image(*_size(window)))
        trial.expect(lambda f=frame: f.is_presented, "presentation")  # type: ignore[misc]
        seen = flags(frame)
        away_ns = min(each.away_ns(frame.presented_ns) for each in vblanks(trial.device))
        trial.check(not (is_turned and seen & ZERO_COPY), "zero_copy for a turned image")
        trial.check(away_ns < 100_000 or not seen & VSYNC, f"vsync {away_ns / 1e6:.3f} ms from any vblank")
        torn += not seen & VSYNC
        trial.pass_ms(3)
    trial.note(f"{torn} of {FRAMES * 2} were torn")


def _size(window: Window) -> tuple[int, int]:
    width, height = (window.toplevel.last("configure") or (0, 0))[:2]
    return width or 64, height or 64
