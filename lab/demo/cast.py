"""Who plays: the clients of the demo, each with the orders it gets."""

from dataclasses import dataclass, field
from typing import Final

from syncline.clients.toolkit.options import Options, Wire


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


def cast(*, broken: bool, zmq: bool, seed: int) -> tuple[Role, ...]:
    """One client per way to synchronise, a neighbour with long GPU jobs, and a tree of surfaces."""
    gpu_ms = {"solid": None, "implicit": None, "shm": None, "hog": None, "subsurfaces": TREE_GPU_MS}
    roles = [
        Role(title, Options(title=title, client_id=number, seed=seed + number, gpu_ms=gpu_ms[title]))
        for number, title in enumerate(gpu_ms, start=1)
    ]
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
    return tuple(roles)


def words(role: Role) -> list[str]:
    """The role as words of `syncline client`."""
    options = role.options
    flags = ["--title", options.title, "--client-id", str(options.client_id), "--seed", str(options.seed)]
    if options.gpu_ms is not None:
        flags += ["--gpu-ms", str(options.gpu_ms)]
    if options.rate:
        flags += ["--rate", str(options.rate)]
    if options.wire is Wire.ZMQ:
        flags += ["--wire", options.wire.value]
    if options.signal_early:
        flags.append("--signal-early")
    return [role.demo, *flags]
