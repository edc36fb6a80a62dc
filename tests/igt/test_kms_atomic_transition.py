"""kms_atomic_transition: planes and screens that come and go, with fences and without, waited for or not."""

from errno import EBUSY
from itertools import permutations

from igt.kms import KmsProgram

from syncline.kms_model.uapi import AtomicFlag as Flag, WaitVblank

program = KmsProgram("kms_atomic_transition")

PLANES = ("primary0", "overlay0", "overlay1", "cursor0")
"""Reduced: the machine has more overlays, which behave like these."""
MASKS = [mask for mask in range(1 << len(PLANES)) if mask & 1]
"""The primary plane stays on; the programs that take it off say so."""


def test_subtest(subtest):
    program.run(subtest)


def test_every_subtest_is_here():
    program.assert_complete()


class Planes:
    """A framebuffer for every plane, and commits that show some of them."""

    def __init__(self, client, *, fencing=False, nonblocking=False):
        self.client = client
        self.world = client.world
        self.fencing = fencing
        self.nonblocking = nonblocking
        mode = (client.mode.hdisplay, client.mode.vdisplay)
        self.sizes = dict.fromkeys(PLANES, (64, 64)) | {"primary0": mode}
        self.fbs = {plane: client.framebuffer(*size) for plane, size in self.sizes.items()}

    def changes(self, mask):
        changes = []
        for bit, plane in enumerate(PLANES):
            if mask & 1 << bit:
                changes += self.client.plane(plane, self.fbs[plane], size=self.sizes[plane])
            else:
                changes += [(plane, "FB_ID", 0), (plane, "CRTC_ID", 0)]
        return changes

    def shown(self, mask):
        return tuple(self.fbs[plane] for bit, plane in enumerate(PLANES) if mask & 1 << bit)

    def commit(self, mask, *extra, flags=0):
        """One transition, and all that is promised of it: its fence, its event, its picture."""
        client = self.client
        timeline = client.timeline() if self.fencing else None
        changes = [*self.changes(mask), ("crtc0", "OUT_FENCE_PTR", client.pointer()), *extra]
        if timeline is not None:
            on = [plane for bit, plane in enumerate(PLANES) if mask & 1 << bit]
            changes += [(plane, "IN_FENCE_FD", client.fence(timeline)) for plane in on]
        flags |= Flag.PAGE_FLIP_EVENT | (Flag.NONBLOCK if self.nonblocking else 0)
        call = client.start_commit(flags, *changes)
        if timeline is not None and self.shown(mask):
            assert call.done == self.nonblocking, "in-fences hold blocking commits only"
            self.world.run_ms(30)
            assert client.events() == []
            client.signal(timeline)
        if self.nonblocking:
            assert call.done
        reply = self.world.run_until_done(call)
        self.world.fds += [fd for _, fd in reply.out_fences]
        ((_, fence),) = reply.out_fences
        if self.nonblocking:
            self.world.run_ms(35)
        assert client.status(fence) == 1, "a blocking commit returns with its fence signalled"
        assert len(client.events()) == 1

    def light(self):
        self.client.light_up()


@program.subtest("plane-primary-toggle-with-vblank-wait")
def primary_toggle(client):
    planes = Planes(client)
    planes.light()
    for number in range(20):
        on = number % 2
        client.commit(0, *planes.changes(on))
        now = client.world.device.kms.display.crtcs[0].vblank.last()[0]
        client.world.run_until_done(client.start(WaitVblank(client.ids["crtc0"], now + 1)))
        assert client.shown() == planes.shown(on)


@program.variants(
    {
        "plane-all-transition": {},
        "plane-all-transition-fencing": {"fencing": True},
        "plane-all-transition-nonblocking": {"nonblocking": True},
        "plane-all-transition-nonblocking-fencing": {"fencing": True, "nonblocking": True},
    }
)
def all_transitions(client, **options):
    """From every set of planes to every other."""
    planes = Planes(client, **options)
    planes.light()
    for before, after in permutations(range(1 << len(PLANES)), 2):
        if before > after:
            continue
        for mask in (before, after, before):
            planes.commit(mask)
            assert client.shown() == planes.shown(mask)


@program.variants(
    {
        "plane-use-after-nonblocking-unbind": {"fencing": False},
        "plane-use-after-nonblocking-unbind-fencing": {"fencing": True},
    }
)
def use_after_unbind(client, *, fencing):
    """A blocking commit after a nonblocking one that switches everything off waits for it."""
    planes = Planes(client)
    planes.light()
    for mask in MASKS:
        planes.commit(mask)
        timeline = client.timeline()
        held = [("primary0", "IN_FENCE_FD", client.fence(timeline))] if fencing else []
        unbind = [] if fencing else [(plane, prop, 0) for plane in PLANES for prop in ("FB_ID", "CRTC_ID")]
        dark = [("crtc0", "ACTIVE", 0), *unbind, *held]
        client.commit(Flag.NONBLOCK | Flag.ALLOW_MODESET | Flag.PAGE_FLIP_EVENT, *dark)

        again = client.start_commit(Flag.ALLOW_MODESET, ("crtc0", "ACTIVE", 1), *planes.changes(mask))
        if fencing:
            client.world.run_ms(100)
            assert not again.done
            assert client.events() == []
            client.signal(timeline)
        client.world.run_until_done(again)

        assert len(client.events()) == 1, "the unbind was told"
        assert client.shown() == planes.shown(mask)


@program.variants(
    {
        "plane-all-modeset-transition": {"fencing": False},
        "plane-all-modeset-transition-fencing": {"fencing": True},
        "plane-all-modeset-transition-internal-panels": {"fencing": False},
        "plane-all-modeset-transition-fencing-internal-panels": {"fencing": True},
    }
)
def modeset_transitions(client, *, fencing):
    """From every set of planes to every other, by way of a mode that has to be set. All our panels are internal."""
    planes = Planes(client, fencing=fencing)
    planes.light()
    for before, after in permutations(MASKS, 2):
        for mask in (before, after):
            client.commit(Flag.ALLOW_MODESET, ("crtc0", "ACTIVE", 0))
            assert client.shown() is None
            planes.commit(mask, ("crtc0", "ACTIVE", 1), flags=Flag.ALLOW_MODESET)
            assert client.shown() == planes.shown(mask)


@program.subtest("plane-toggle-modeset-transition")
def toggle_modeset(client):
    """The screen goes with its planes, and comes back with others."""
    planes = Planes(client)
    for mask in MASKS:
        planes.light()
        planes.commit(mask)
        client.commit(Flag.ALLOW_MODESET, *planes.changes(0), *client.off(0)[:3])
        assert client.shown() is None
        assert client.read("primary0", "FB_ID") == 0


@program.variants(
    {
        "modeset-transition": {},
        "modeset-transition-fencing": {"fencing": True},
        "modeset-transition-nonblocking": {"nonblocking": True},
        "modeset-transition-nonblocking-fencing": {"fencing": True, "nonblocking": True},
    }
)
def screens(client, *, fencing=False, nonblocking=False):
    """From every set of screens to every other in one commit; a second one before it is through is busy."""
    fb = client.framebuffer()
    flags = Flag.ALLOW_MODESET | (Flag.NONBLOCK if nonblocking else 0)
    for before, after in permutations(range(4), 2):
        switch(client, before, fb, Flag.ALLOW_MODESET)
        timeline = client.timeline() if fencing and after else None
        call = switch(client, after, fb, flags, timeline)
        if nonblocking:
            assert call.done
            if timeline is not None:
                assert client.refused(flags, *screen(client, 0, fb, on=not after & 1)) == EBUSY
        if timeline is not None:
            assert call.done == nonblocking
            client.world.run_ms(30)
            client.signal(timeline)
        client.world.run_until_done(call)
        client.world.run_ms(40)
        for number in range(2):
            assert client.shown(f"crtc{number}") == ((fb,) if after & 1 << number else None)
        switch(client, 0, fb, Flag.ALLOW_MODESET)


def screen(client, number, fb, *, on):
    return client.output(number, fb) if on else client.off(number)


def switch(client, mask, fb, flags, timeline=None):
    changes = []
    for number in range(2):
        on = bool(mask & 1 << number)
        changes += screen(client, number, fb, on=on)
        if timeline is not None and on:
            changes.append((f"primary{number}", "IN_FENCE_FD", client.fence(timeline)))
    call = client.start_commit(flags, *changes)
    if timeline is None:
        client.world.run_until_done(call)
    return call
