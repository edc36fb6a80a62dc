"""Any sequence of well-formed requests: the client may be refused, the server goes on.

Objects, values and descriptors are drawn at random; what is sent is always of the right shape, so whatever
stops the server here is a hole in a handler or in the core.
"""

import os
import re
from random import Random

import pytest

from syncline.compositor.wayland.globals import SPOKEN
from syncline.protocol import schema
from syncline.protocol.schema import U64, Kind

STEPS = 1000
NUMBERS = (0, 1, 2, 3, 4, 8, 10, 50, 64, 200, 256, 4096, -1, 2**31 - 1)
SENSIBLE = {
    "format": (0, 1, 0x34325258, 0x34325241),
    "options": (0, 1),
    "dnd_actions": (1, 2, 3),
    "preferred_action": (1,),
    "plane_idx": (0,),
    "stride": (256,),
    "size": (65536, 1 << 20),
    "scale": (1, 2),
    "transform": tuple(range(8)),
    "anchor": tuple(range(9)),
    "gravity": tuple(range(9)),
    "edges": (0, 1, 2, 4, 5),
    "flags": (0,),
    "mode": (1, 2),
    "offset": (0, 64),
}
EXTENTS = ("width", "height", "parent_width", "parent_height")
FILES = {"create_pool": "memory", "import_timeline": "syncobj", "add": "dma-buf", "receive": "pipe"}
OFTEN = {"attach", "commit", "set_acquire_point", "set_release_point", "frame", "feedback", "damage_buffer"}
RARELY = re.compile(
    "get_.*|place_.*|destroy|release|capture|create_frame|start_drag|set_(parent|cursor|actions|selection)"
)
SYNC = "wp_linux_drm_syncobj_surface_v1"
MISTAKE = 0.01  # how often a value is any value


class AnyClient:
    """Draws what to say next."""

    def __init__(self, world, random: Random) -> None:
        self.world = world
        self.random = random
        self.client = client = world.client()
        self.objects = [client.bind(each.interface) for each in SPOKEN if each.interface != "wl_fixes"]
        self.objects.append(client.bind("wl_output"))
        self.syncobj = world.syncobj()
        self._fds: list[int] = []
        self._acked: set[int] = set()
        window = client.toplevel()
        child = client.surface()
        manager = client.bind("wp_linux_drm_syncobj_manager_v1")
        self._acked.add(window.xdg.last("configure")[0])
        self.objects += [window.xdg, window.toplevel, child, window.surface]
        self.objects.append(
            client.make(client.bind("wl_subcompositor"), "get_subsurface", child, window.surface)
        )
        self.objects += [client.timeline(manager).proxy for _ in range(2)]
        self.objects += [client.dmabuf(), client.shm_buffer()[0], client.dmabuf()]
        if random.random() < 0.5:
            self.objects.append(client.make(manager, "get_surface", random.choice((child, window.surface))))

    def step(self) -> None:
        living = [each for each in self.objects if each.alive]
        if self.random.random() < 0.4:  # most of what matters is said to surfaces
            living = [each for each in living if each.interface in {"wl_surface", SYNC}] or living
        # Younger objects are more interesting than the globals that made them.
        sender = living[-1 - int(self.random.triangular(0, len(living) - 1, 0))]
        requests = [
            each
            for each in schema.interface(sender.interface).requests
            if each.since <= sender.version and self.random.random() < self.likelihood(each.name)
        ]
        if not requests:
            return
        message = self.random.choice(requests)
        values = []
        for argument in message.arguments:
            if argument.kind is Kind.NEW_ID:
                continue
            value = self.value(message, argument)
            if value is None and not argument.nullable:
                return
            values.append(value)
        if message.new_id():
            self.objects.append(self.client.make(sender, message.name, *values))
        else:
            sender.send(message.name, *values)
        while self._fds:
            os.close(self._fds.pop())

    def likelihood(self, name: str) -> float:
        if name in {"create", "create_immed"}:
            return 0.1
        return 1.0 if name in OFTEN else 0.03 if RARELY.fullmatch(name) else 0.3

    def value(self, message, argument):
        """Something of the right kind; None when there is nothing, or null is allowed and drawn."""
        match argument.kind:
            case Kind.OBJECT:
                fitting = [
                    each for each in self.objects if each.alive and each.interface == argument.interface
                ]
                is_null = not fitting or (argument.nullable and self.random.random() < 0.2)
                return None if is_null else self.random.choice(fitting)
            case Kind.FD:
                return self.descriptor(FILES[message.name])
            case Kind.FIXED:
                return float(self.random.choice((1, 2, 10, 64)))
            case Kind.STRING:
                return self.random.choice(("", "text/plain", "x" * 200))
            case Kind.ARRAY:
                return bytes(8)
            case kind if kind in U64:
                is_modifier = argument.name == "modifier"
                return 0 if is_modifier else self.random.choice((0, 1, 2, 3, 5, 2**32 + 5, 2**64 - 1))
            case kind:
                number = self.number(message, argument.name)
                return number & 0xFFFFFFFF if kind is Kind.UINT and number is not None else number

    @property
    def unacked(self):
        """Serials that were sent and not yet acked."""
        for each in self.objects:
            for (serial,) in each.heard("configure") if each.interface == "xdg_surface" else ():
                if serial not in self._acked:
                    self._acked.add(serial)
                    yield serial

    def number(self, message, name: str) -> int | None:
        if self.random.random() < MISTAKE:
            return self.random.choice(NUMBERS)
        if message.name == "attach":
            return 0
        if message.name == "ack_configure":
            return next(self.unacked, None)
        if name in EXTENTS:
            return self.random.choice((1, 10, 64))
        return self.random.choice(SENSIBLE.get(name, (0, 1, 2, 10, 50)))

    def descriptor(self, kind: str) -> int:
        if self.random.random() < MISTAKE:
            kind = self.random.choice(("memory", "dma-buf", "syncobj", "pipe"))
        if kind == "memory":
            fd = os.memfd_create("any")
            os.ftruncate(fd, self.random.choice((1 << 20, 1 << 20, 65536)))
        elif kind == "dma-buf":
            fd, _ = self.world.dumb(64, 64)
        elif kind == "syncobj":
            fd = self.world.syncobj_fd(self.syncobj)
        else:
            fd, other = os.pipe()
            self._fds.append(other)
        self._fds.append(fd)
        return fd


@pytest.mark.requirement("S46")
@pytest.mark.parametrize("seed", range(20))
def test_the_server_survives_any_session(world, seed) -> None:
    random = Random(seed)
    anybody = AnyClient(world, random)
    for step in range(STEPS):
        if anybody.client.connection.closing:
            anybody = AnyClient(world, random)  # it was refused; somebody else tries
        anybody.step()
        if step % 7 == 0:
            anybody.client.roundtrip()
            world.core.check_invariants()
        if step % 31 == 0:
            world.run(20)
    anybody.client.roundtrip()

    witness = world.client()
    window = witness.toplevel()
    buffer, _ = witness.shm_buffer()
    window.surface.send("attach", buffer, 0, 0)
    done = witness.make(window.surface, "frame")
    window.surface.send("commit")
    world.until(lambda: done.events)
    witness.expect_no_error()
    world.core.check_invariants()
