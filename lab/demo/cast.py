"""Who plays: the clients of the demo, each with the orders it gets."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from enum import Enum
from math import ceil, isqrt
from typing import Final

from syncline.clients.catalogue import DEMOS
from syncline.clients.toolkit.options import Options, Size, Wire
from syncline.lab.exit import Usage


@dataclass(frozen=True, slots=True)
class Role:
    """One client: the demo it runs and its orders. `options.title` is its name in every report."""

    demo: str
    options: Options = field(default_factory=Options)

    @property
    def name(self) -> str:
        return self.options.title


TREE_GPU_MS: Final = 1.0
"""For each of its three images a frame: together with the others a GPU can do it, the hog aside."""
LIAR_GPU_MS: Final = 40.0
LIAR_RATE: Final = 12.0
"""Frames per second that leave the GPU time to paint each one while it is on the screen."""
SIDE: Final = 256
SIDE_MIN: Final = 232
"""Pixels of a window's side. The tree's children need so many."""


def cast(
    *, broken: bool, zmq: bool, seed: int, screen: Size, screens: int = 1, more: Sequence[str] = ()
) -> tuple[Role, ...]:
    """One client per way to synchronise, a neighbour with long GPU jobs, and a tree of surfaces.

    `more` are demos that play along. `screen` is the size of the first of `screens`. Raises Usage if the windows there would hide each other: a strip
    that is covered cannot be told from one that was not painted.
    """
    gpu_ms = {"solid": None, "implicit": None, "shm": None, "hog": None, "subsurfaces": TREE_GPU_MS}
    roles = [
        Role(title, Options(title=title, client_id=number, seed=seed + number, gpu_ms=gpu_ms[title]))
        for number, title in enumerate(gpu_ms, start=1)
    ]
    for title in more:
        if title not in DEMOS or title in {role.name for role in roles}:
            able = ", ".join(name for name in DEMOS if name not in gpu_ms)
            raise Usage(f"--clients {title}: choose each of {able} once")
        number = len(roles) + 1
        roles.append(Role(title, Options(title=title, client_id=number, seed=seed + number)))
    if zmq:
        number = len(roles) + 1
        orders = Options(title="solid-zmq", client_id=number, seed=seed + number, wire=Wire.ZMQ)
        roles.append(Role("solid", orders))
    if broken:
        number = len(roles) + 1
        orders = Options(
            title="liar",
            client_id=number,
            seed=seed + number,
            signal_early=True,
            gpu_ms=LIAR_GPU_MS,
            rate=LIAR_RATE,
        )
        roles.append(Role("solid", orders))
    side = _side(screen, windows=ceil(len(roles) / screens))
    return tuple(Role(role.demo, replace(role.options, size=(side, side))) for role in roles)


def _side(screen: Size, *, windows: int) -> int:
    """What fits into a cell of the compositor's grid."""
    columns = isqrt(windows - 1) + 1
    rows = ceil(windows / columns)
    side = min(SIDE, screen[0] // columns, screen[1] // rows)
    if side < SIDE_MIN:
        least = f"{columns * SIDE_MIN}x{rows * SIDE_MIN}"
        raise Usage(
            f"a screen of {screen[0]}x{screen[1]} has no room for {windows} windows: try {least} or more"
        )
    return side


def words(role: Role) -> list[str]:
    """The role as words of `syncline client`: whatever is not as usual."""
    flags = []
    for each in fields(Options):
        value = getattr(role.options, each.name)
        if value != each.default:
            flags += [f"--{each.name.replace('_', '-')}", *_said(value)]
    return [role.demo, *flags]


def _said(value: object) -> list[str]:
    """The value of a flag. One that is only on or off has none."""
    match value:
        case bool():
            return []
        case (width, height):
            return [f"{width}x{height}"]
        case Enum():
            return [str(value.value)]
        case _:
            return [str(value)]
