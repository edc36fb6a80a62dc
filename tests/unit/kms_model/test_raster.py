"""Painting against a painter that goes pixel by pixel, in whole numbers and fractions, and knows no bands."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from syncline.kms_model import font, raster, tag
from syncline.kms_model.raster import Image
from syncline.kms_model.uapi import Blit, Command, Fill, Gradient, Rect, Tag, Text

WIDTH, HEIGHT = 48, 20


def channels(color: int) -> list[int]:
    return [color >> shift & 0xFF for shift in (0, 8, 16, 24)]


def packed(values: list[int]) -> int:
    return sum(value << shift for value, shift in zip(values, (0, 8, 16, 24), strict=True))


def nearest(value: Fraction) -> int:
    return int(value + Fraction(1, 2))


def inside(x: int, y: int, rect: Rect) -> bool:
    return rect[0] <= x < rect[0] + rect[2] and rect[1] <= y < rect[1] + rect[3]


def where_in_buffer(*, u: int, v: int, width: int, height: int, transform: int) -> tuple[int, int]:
    """Column and row of the buffer in which an upright picture's pixel (u, v) is stored, by turning it as the
    client did: a mirror first, then `transform % 4` quarter turns counter-clockwise."""
    if transform >= 4:
        u = width - 1 - u
    for _ in range(transform % 4):
        u, v = v, width - 1 - u
        width, height = height, width
    return u, v


def slow_blit(old: int, x: int, y: int, blit: Blit, source: Image) -> int:
    if not (inside(x, y, blit.dst) and any(inside(x, y, rect) for rect in blit.clip)):
        return old
    sx, sy, sw, sh = blit.src
    dx, dy, dw, dh = blit.dst
    u = int(Fraction(sx, 256) + (x - dx + Fraction(1, 2)) * Fraction(sw, 256) / dw)
    v = int(Fraction(sy, 256) + (y - dy + Fraction(1, 2)) * Fraction(sh, 256) / dh)
    width, height = blit.source_size if blit.transform % 2 == 0 else blit.source_size[::-1]
    column, row = where_in_buffer(u=u, v=v, width=width, height=height, transform=blit.transform)
    new = int(source[row, column])
    if not blit.blend:
        return new | 0xFF000000
    keep = 255 - channels(new)[3]
    return packed(
        [
            min(255, n + nearest(Fraction(o * keep, 255)))
            for n, o in zip(channels(new), channels(old), strict=True)
        ]
    )


def slow_pixel(old: int, x: int, y: int, command: Command, source: Image) -> int:
    match command:
        case Fill(rect=rect, color=color):
            return color if inside(x, y, rect) else old
        case Gradient(rect=rect, top=top, bottom=bottom):
            if not inside(x, y, rect):
                return old
            share = Fraction(y - rect[1], max(rect[3] - 1, 1))
            ends = zip(channels(top), channels(bottom), strict=True)
            return packed(
                [
                    int(a + (b - a) * share + Fraction(max(rect[3] - 1, 1) // 2, max(rect[3] - 1, 1)))
                    for a, b in ends
                ]
            )
        case Text():
            box = (command.x, command.y, 8 * command.scale * len(command.text), 8 * command.scale)
            if not inside(x, y, box):
                return old
            ink = font.render(command.text)
            on = ink[(y - command.y) // command.scale, (x - command.x) // command.scale]
            return command.color if on else old
        case Tag():
            if not inside(x, y, (command.x, command.y, tag.WIDTH, tag.HEIGHT)):
                return old
            strip = tag.strip(client=command.client, frame=command.frame, end=command.end)
            return int(strip[y - command.y, x - command.x])
        case Blit():
            return slow_blit(old, x, y, command, source)


def slow_paint(target: Image, commands: list[Command], source: Image) -> Image:
    painted = target.copy()
    for command in commands:
        for y in range(HEIGHT):
            for x in range(WIDTH):
                painted[y, x] = slow_pixel(int(painted[y, x]), x, y, command, source)
    return painted


def noise(width: int, height: int, seed: int) -> Image:
    return np.random.default_rng(seed).integers(0, 1 << 32, (height, width), dtype=np.uint32)


colors = st.integers(0, 0xFFFFFFFF)
places = st.integers(-30, 60)
sizes = st.integers(0, 50)
rects = st.tuples(places, places, sizes, sizes)


@st.composite
def blits(draw: st.DrawFn) -> Blit:
    size = (draw(st.integers(1, 30)), draw(st.integers(1, 30)))
    transform = draw(st.integers(0, 7))
    width, height = size if transform % 2 == 0 else size[::-1]
    sx, sy = draw(st.integers(0, width * 256 - 1)), draw(st.integers(0, height * 256 - 1))
    src = (sx, sy, draw(st.integers(1, width * 256 - sx)), draw(st.integers(1, height * 256 - sy)))
    near = st.integers(-10, 20)
    dst = (draw(near), draw(near), draw(st.integers(1, 50)), draw(st.integers(1, 50)))
    if draw(st.booleans()):
        src = (src[0], src[1], src[2] + 255 & ~255, src[3] + 255 & ~255)
        src = (min(src[0], width * 256 - src[2]), min(src[1], height * 256 - src[3]), src[2], src[3])
        dst = (dst[0], dst[1], src[2] >> 8, src[3] >> 8)
    # Clips do not overlap: a region never does, and here a pixel would be blended once, there twice.
    whole = (-100, -100, 200, 200)
    clips: tuple[tuple[Rect, ...], ...] = ((whole,), ((0, 0, 24, 30), (24, 5, 10, 9)), (), (draw(rects),))
    clip = draw(st.sampled_from(clips))
    return Blit(1, size, size[0] * 4, src, dst, clip, blend=draw(st.booleans()), transform=transform)


commands = st.one_of(
    st.builds(Fill, rects, colors),
    st.builds(Gradient, rects, colors, colors),
    st.builds(Text, places, places, st.text(max_size=6), colors, st.integers(1, 4)),
    st.builds(Tag, places, places, st.integers(0, 255), st.integers(0, 65535), st.integers(0, 1)),
    blits(),
)


@settings(max_examples=2 * settings().max_examples)
@given(st.lists(commands, max_size=4), st.lists(st.integers(0, HEIGHT), max_size=4), st.integers(0, 1 << 30))
def test_any_list_painted_in_any_bands_gives_the_slow_painters_pixels(
    orders: list[Command], cuts: list[int], seed: int
) -> None:
    before, noisy = noise(WIDTH, HEIGHT, seed), noise(32, 32, seed + 1)
    source_of = lambda blit: noisy[: blit.source_size[1], : blit.source_size[0]]  # noqa: E731  used once

    painted = before.copy()
    for top, bottom in zip([0, *sorted(cuts)], [*sorted(cuts), HEIGHT], strict=True):
        raster.paint(painted, orders, source_of, top=top, bottom=bottom)

    expected = before
    for order in orders:
        source = source_of(order) if isinstance(order, Blit) else noisy
        expected = slow_paint(expected, [order], source)
    assert np.array_equal(painted, expected)


@settings(max_examples=3 * settings().max_examples)
@given(blits(), st.integers(0, 1 << 30))
def test_any_blit_samples_under_the_centre_of_each_pixel(blit: Blit, seed: int) -> None:
    painted, source = noise(WIDTH, HEIGHT, seed), noise(blit.source_size[0], blit.source_size[1], seed + 1)
    expected = slow_paint(painted, [blit], source)

    raster.paint(painted, [blit], lambda _: source, top=0, bottom=HEIGHT)

    assert np.array_equal(painted, expected)


@pytest.mark.parametrize("alpha", [0, 1, 127, 128, 254, 255])
def test_blending_is_exact_for_every_pair_of_bytes(alpha: int) -> None:
    new, old = np.meshgrid(np.arange(256, dtype=np.uint32), np.arange(256, dtype=np.uint32))
    source, target = alpha << 24 | new << 16 | new << 8 | new, old << 24 | old << 16 | old << 8 | old
    blit = Blit(
        1, (256, 256), 1024, (0, 0, 256 << 8, 256 << 8), (0, 0, 256, 256), ((0, 0, 256, 256),), blend=True
    )

    raster.paint(target, [blit], lambda _: source, top=0, bottom=256)

    exact = np.minimum(255, new + (2 * old * (255 - alpha) + 255) // 510)
    assert np.array_equal(target & 0xFF, exact)
    assert np.array_equal(target >> 16 & 0xFF, exact)
    assert np.array_equal(target >> 24, np.minimum(255, alpha + (2 * old * (255 - alpha) + 255) // 510))


def test_a_turned_photograph_is_shown_upright() -> None:
    upright = noise(3, 2, seed=1)
    turned = np.rot90(upright)  # numpy turns counter-clockwise, as wl_output.transform 90 says
    mirrored = np.rot90(upright[:, ::-1])

    assert np.array_equal(raster.upright(turned, 1), upright)
    assert np.array_equal(raster.upright(mirrored, 5), upright)


def test_the_cost_of_a_row_counts_what_lies_on_it() -> None:
    fill, thin = Fill((0, 0, 40, 10), 0), Fill((0, 5, 40, 1), 0)

    costs = np.diff(raster.row_costs_ns([fill, thin], height=12, width=WIDTH))

    assert costs[0] > 0
    assert costs[5] == 2 * costs[0]
    assert costs[10] == costs[11] == 0


def test_blending_costs_more_than_copying() -> None:
    copy = Blit(1, (40, 4), 160, (0, 0, 40 << 8, 4 << 8), (0, 0, 40, 4), ((0, 0, 40, 4),))
    blend = Blit(1, (40, 4), 160, (0, 0, 40 << 8, 4 << 8), (0, 0, 40, 4), ((0, 0, 40, 4),), blend=True)

    assert (
        raster.row_costs_ns([blend], height=4, width=40)[4]
        > raster.row_costs_ns([copy], height=4, width=40)[4]
    )
