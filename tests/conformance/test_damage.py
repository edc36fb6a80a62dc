"""What changed, and whether it is to be seen: in captures, and by who looks at the screen (protocol.md 2.1, C16)."""

import mmap
from collections.abc import Callable, Mapping
from typing import Final

from syncline.conformance.camera import CAPTURE, SOURCE, Camera, Recorder, Rect
from syncline.conformance.case import DMABUF, RunClass, case
from syncline.conformance.target import Eye
from syncline.conformance.thing import Thing
from syncline.conformance.trial import Trial
from syncline.conformance.window import Child, Window

S, M = RunClass.S, RunClass.M
SIDE: Final = 64
SMALL: Final = 16
SQUARES: Final[list[Rect]] = [(x, y, 8, 8) for y in range(0, SIDE, SMALL) for x in range(0, SIDE, SMALL)]
EVERYTHING: Final[Rect] = (0, 0, SIDE, SIDE)
RED, GREEN, BLUE, YELLOW = 0xE01020, 0x10E020, 0x1020E0, 0xE0E010
TURNED: Final = 1
"""wl_output.transform by 90 degrees: no plane here can do that, so it is composed."""
TRANSFORMS: Final = range(8)
SEEN_MS: Final = 40
IMAGES: Final = 3
"""More than this many nobody paints a screen in by turns."""


@case("C16", M, priority=2, needs=(DMABUF, CAPTURE, SOURCE), device=True)
def test_cor_12_damage_is_united_and_cut_to_the_surface(trial: Trial) -> None:
    """Pictures of the output: all that was damaged in one cycle is new, and nothing beside the surface is."""
    _ = trial.faults  # other screens scale, crop and decorate
    for show in (_show_dmabuf, _show_shared):
        _damage_adds_up(trial, show)


def _damage_adds_up(trial: Trial, show: Callable[[Window, bytes, list[Rect]], None]) -> None:
    window, camera = Window(trial, trial.client(show.__name__), explicit=False), Camera(trial)
    show(window, _painted(RED), [EVERYTHING])
    trial.check(camera.photograph().count(RED) == SIDE**2, "the first image is not to be seen as it is")
    corners = [(0, 0, 16, 16), (48, 40, 16, 16)]
    for colour in (BLUE, GREEN) * 3:  # more often than anybody has copies that were never painted in whole
        show(window, _painted(RED, colour, *corners), corners)
        seen = camera.photograph()
        new = seen.count(colour)
        trial.check(new == 512, f"of two damaged squares {new} of 512 pixels are new")
        trial.check(seen.count(RED) == SIDE**2 - 512, "something beside the two squares changed")
    show(window, _painted(GREEN), [(-500, -500, 1 << 20, 1 << 20)])
    seen = camera.photograph()
    trial.check(
        seen.count(GREEN) == SIDE**2, "damage beyond the surface painted more, or less, than the surface"
    )
    show(window, _painted(GREEN, RED, corners[0]), corners[:1])
    seen = camera.photograph()
    trial.check(
        (seen.count(RED), seen.count(GREEN)) == (256, SIDE**2 - 256), "one square of damage is not that"
    )
    window.destroy()


def _painted(colour: int, spots: int = 0, *places: Rect) -> bytes:
    """An image of one colour with rectangles of another."""
    pixels = bytearray(colour.to_bytes(4, "little") * SIDE**2)
    for x, y, width, height in places:
        for row in range(y, y + height):
            start = (row * SIDE + x) * 4
            pixels[start : start + width * 4] = spots.to_bytes(4, "little") * width
    return bytes(pixels)


def _show_dmabuf(window: Window, pixels: bytes, damage: list[Rect]) -> None:
    image = window.trial.device.image(SIDE, SIDE)
    with mmap.mmap(image.fd, image.pitch * SIDE) as memory:
        for row in range(SIDE):
            memory[row * image.pitch : row * image.pitch + SIDE * 4] = pixels[row * SIDE * 4 :][: SIDE * 4]
    _show_damaged(window, window.client.buffer(image), damage)


def _show_shared(window: Window, pixels: bytes, damage: list[Rect]) -> None:
    _show_damaged(window, window.client.shm_buffer(SIDE, SIDE, pixels), damage)


def _show_damaged(window: Window, buffer: Thing, damage: list[Rect]) -> None:
    """Half of it in the surface's coordinates, half in the buffer's: they are the same here."""
    window.attach(buffer)
    for number, rect in enumerate(damage):
        window.wl.send("damage_buffer" if number % 2 else "damage", *rect)
    _commit(window)


def _commit(window: Window) -> None:
    """What is pending, with no other damage."""
    done = window.wl.make("frame")
    window.wl.send("commit")
    window.trial.expect(lambda: done.count("done") > 0, "the frame callback")


@case("C16", M, priority=2)
def test_cor_13_what_is_damaged_comes_to_the_screen(trial: Trial) -> None:
    """Seen from in front of it: square after square of a buffer, turned each way, each frame with its own square as damage."""
    eye = trial.eye
    for transform in TRANSFORMS:
        window = Window(trial, trial.client(f"transform {transform}"), explicit=False)
        _show_turned(window, _painted(RED), EVERYTHING, transform=transform)
        _look(trial, eye, f"the first image, transform {transform}", {RED: SIDE**2})
        for count in range(1, IMAGES + 4):
            is_overtaken = count == IMAGES  # its successor comes within the same refresh
            pixels = _painted(RED, BLUE, *SQUARES[:count])
            _show_turned(window, pixels, SQUARES[count - 1], transform=transform, waits=not is_overtaken)
            if not is_overtaken:
                expected = {RED: SIDE**2 - 64 * count, BLUE: 64 * count}
                _look(trial, eye, f"{count} squares, transform {transform}", expected)
        window.destroy()


@case("C10 U3 U4", M, priority=2)
def test_cor_14_what_comes_moves_and_goes_is_seen_to(trial: Trial) -> None:
    """Two children at the edge of a window come, move, change places and go, and nobody says a word about damage."""
    eye, window = trial.eye, Window(trial, explicit=False)
    _show_turned(window, _painted(RED), EVERYTHING)
    small, most, quarter = SMALL**2, SMALL**2 * 3 // 4, SMALL**2 // 4
    green = _child(window, GREEN)
    _commit(window)
    _look(trial, eye, "a child that came", {RED: SIDE**2 - small, GREEN: small})
    green.sub.send("set_position", SIDE - SMALL // 2, SIDE - SMALL // 2)
    _commit(window)
    _look(trial, eye, "a child that moved", {RED: SIDE**2 - quarter, GREEN: small})
    yellow = _child(window, YELLOW)
    yellow.sub.send("set_position", SIDE - SMALL, SIDE - SMALL)
    _commit(window)
    _look(trial, eye, "a child above another", {RED: SIDE**2 - small, GREEN: most, YELLOW: small})
    yellow.sub.send("place_below", green.wl)
    _commit(window)
    _look(trial, eye, "a child below another", {RED: SIDE**2 - small, GREEN: small, YELLOW: most})
    green.attach(None)
    green.wl.send("commit")
    _commit(window)
    _look(trial, eye, "a child without content", {RED: SIDE**2 - small, GREEN: 0, YELLOW: small})
    yellow.destroy()
    _look(trial, eye, "a child that is gone", {RED: SIDE**2, GREEN: 0, YELLOW: 0})
    window.attach(None)
    window.wl.send("commit")
    _look(trial, eye, "a window without content", {RED: 0, GREEN: 0, YELLOW: 0})


@case("CAP1", S, priority=2, needs=(CAPTURE, SOURCE))
def test_cor_15_a_capture_brings_what_has_changed(trial: Trial) -> None:
    """Square after square of a window: in a picture that is only kept up to date it is new as well, and said to be."""
    window = Window(trial, explicit=False)
    _show_turned(window, _painted(RED), EVERYTHING, transform=0)
    kept, fresh = Recorder(trial, "kept"), Recorder(trial, "fresh")
    kept.update(whole=True)
    fresh.update(whole=True)
    for count in range(1, 7):
        before = fresh.shows(BLUE)
        _show_turned(window, _painted(RED, BLUE, *SQUARES[:count]), SQUARES[count - 1], transform=0)
        fresh.update(whole=True)
        damage = kept.update()
        new = fresh.shows(BLUE) & ~before
        trial.check(bool(new.any()), f"square {count} is in no picture that was asked for in whole")
        trial.check(
            bool(kept.shows(BLUE)[new].all()), f"square {count} is not in the picture kept up to date"
        )
        trial.check(
            bool(kept.inside(damage)[new].all()), f"square {count} is new and was not said to be damaged"
        )


def _look(trial: Trial, eye: Eye, what: str, expected: Mapping[int, int]) -> None:
    trial.pass_ms(SEEN_MS)
    for colour, count in expected.items():
        seen = eye.count(colour)
        trial.check(seen == count, f"{what}: {seen} pixels of {colour:#08x} on the screen, not {count}")


def _show_turned(
    window: Window, pixels: bytes, damage: Rect, *, transform: int = TURNED, waits: bool = True
) -> None:
    window.wl.send("set_buffer_transform", transform)
    window.attach(window.client.shm_buffer(SIDE, SIDE, pixels))
    window.wl.send("damage_buffer", *damage)
    if waits:
        _commit(window)
    else:
        window.wl.send("commit")


def _child(window: Window, colour: int) -> Child:
    """With its first commit, which waits for the parent's."""
    child = Child(window, explicit=False)
    child.wl.send("set_buffer_transform", TURNED)
    child.attach(window.client.shm_buffer(SMALL, SMALL, colour.to_bytes(4, "little") * SMALL**2))
    child.wl.send("commit")
    return child
