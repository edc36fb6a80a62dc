"""Whatever honest clients do, nobody reads an image that is unfinished, or that its client may write.

The checker stands on the far side: it looks at what the display scans out, at what the next vblank will
latch and at the compositor's unfinished GPU jobs, and asks the kernel which points have signalled. It
knows nothing of loans.
"""

from typing import NamedTuple

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, rule
from world import MS, Client, Image, Picture, Window, World, machine

from syncline.compositor.core.policy import AcquireMode, ImplicitMode, Policy

NAMES = ("one", "two", "three")
SELDOM = st.sampled_from([False, False, False, True])


class Pace(NamedTuple):
    """How a picture is presented: in fifo order, so long from now, tearing."""

    is_fifo: bool = False
    in_ms: int | None = None
    tears: bool = False


PACES = st.builds(Pace, st.booleans(), st.none() | st.integers(-10, 60), st.booleans())
SIZES = ((320, 240), (100, 80), (64, 300))


def check_what_is_read(world: World) -> None:
    """Nothing unfinished, nothing free. Called after every input of the world."""
    views = world.device.kms.display.view()
    showing = {layer.gem for view in views if view.showing is not None for layer in view.showing.layers}
    pending = {layer.gem for view in views if view.pending is not None for layer in view.pending.layers}
    queued = set().union(*world.reading.values())
    begun = set().union(*(sources for job, sources in world.reading.items() if job in world.running))
    read = showing | pending | queued | begun
    for image in world.images:
        if image.memory not in read or not image.client.is_alive or not image.was_used:
            continue
        if image.is_free:
            assert image.memory not in showing | pending, f"{image.name} is free while the display needs it"
            # A client without points must wait for the READ fences of its buffer anyhow.
            assert not image.is_explicit or image.memory not in queued, (
                f"{image.name} is free while a composition reads it"
            )
        if image.is_explicit and not image.is_finished:
            assert image.memory not in showing, f"{image.name} is shown unfinished"
            assert image.memory not in begun, f"{image.name} is composed unfinished"


class AnyHonestSession(RuleBasedStateMachine):
    windows: Bundle[Window] = Bundle("windows")
    children: Bundle[Picture] = Bundle("children")

    policy = Policy(composition_fixed_ns=2 * MS, first_margin_ns=6 * MS)
    """Compositions take long enough for clients to do things meanwhile."""

    on_user_fences = frozenset({3})
    """Which of the first clients are."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(machine(60_000, 75_000, overlays=1, cursor=True), policy=self.policy)
        self.world.bystanders.append(lambda: check_what_is_read(self.world))
        self.unfinished: list[tuple[Picture, Image]] = []
        self.paces: dict[Picture, Pace] = {}
        self.is_over = False

    @initialize(target=windows, number=st.integers(2, 4), paces=st.lists(PACES, min_size=4, max_size=4))
    def begin(self, number: int, paces: list[Pace]) -> object:
        """A desktop with something on it: a wall, and small windows with and without points, one on user fences."""
        windows = [
            Client(self.world, f"client {each}").window(
                *SIZES[each % 3], explicit=each != 2, user=each in self.on_user_fences
            )
            for each in range(number)
        ]
        for window in windows:
            window.present("one")
        self.world.run_ms(40)
        self.paces.update(zip(windows, paces, strict=False))
        return multiple(*windows)

    # -- clients ----------------------------------------------------------------------------------

    @rule(target=windows, size=st.sampled_from(SIZES), explicit=st.booleans(), user=st.booleans())
    def open_a_window(self, size: tuple[int, int], explicit: bool, user: bool) -> Window:
        return Client(self.world, "client").window(*size, explicit=explicit, user=user)

    @rule(target=children, window=windows, desynchronized=st.booleans())
    def add_a_subsurface(self, window: Window, desynchronized: bool) -> object:
        if not window.surface.alive or not window.client.is_alive:
            return multiple()
        child = window.client.picture(50, 40)
        core = self.world.core
        core.subsurfaces.make(child.surface, window.surface)
        core.subsurfaces.set_position(child.surface, x=-10, y=10)
        if desynchronized:
            core.subsurfaces.set_synchronized(child.surface, synchronized=False, now_ns=self.world.now_ns)
        return child

    @rule(window=windows, gpu_ms=st.none() | st.integers(1, 40))
    def present(self, window: Window, gpu_ms: int | None) -> None:
        if window.surface.alive and window.client.is_alive and window.toplevel.alive:
            self._present(window, gpu_ms)

    @rule(window=windows, frames=st.integers(2, 6), gpu_ms=st.integers(0, 20))
    def animate(self, window: Window, frames: int, gpu_ms: int) -> None:
        """Present at every frame callback while the session goes on."""

        def present(left: int) -> None:
            usable = window.surface.alive and window.client.is_alive and window.toplevel.alive
            names = [name for name in NAMES if usable and window.image(name).is_free]
            if left and names and not self.is_over:
                self._pace(window)
                self._forget(window.image(names[0]))
                window.present(names[0], gpu_ms=gpu_ms).on_frame = lambda: present(left - 1)

        present(frames)

    @rule(picture=windows | children, pace=PACES)
    def change_pace(self, picture: Picture, pace: Pace) -> None:
        """From now on it is presented like this."""
        self.paces[picture] = pace

    def _pace(self, picture: Picture) -> None:
        pace, pending = self.paces.get(picture, Pace()), picture.surface.pending
        pending.fifo_barrier = pending.fifo_wait = pace.is_fifo
        pending.tearing = pace.tears
        # Not on the nanosecond of a latch: whether that was in time is a matter of rounding.
        odd_ns = self.world.now_ns + 12_345
        pending.target_time_ns = None if pace.in_ms is None else odd_ns + pace.in_ms * MS

    @rule(child=children, gpu_ms=st.none() | st.integers(1, 40))
    def present_a_subsurface(self, child: Picture, gpu_ms: int | None) -> None:
        if child.surface.alive and child.client.is_alive:
            self._present(child, gpu_ms)

    def _present(self, picture: Picture, gpu_ms: int | None) -> None:
        names = [name for name in NAMES if picture.image(name).is_free]
        if not names:
            return
        self._forget(picture.image(names[0]))
        if gpu_ms is None and picture.explicit:
            self.unfinished.append((picture, picture.image(names[0])))
        self._pace(picture)
        picture.present(names[0], gpu_ms=gpu_ms if gpu_ms is not None or picture.explicit else 1)

    def _forget(self, image: Image) -> None:
        """It came back before its work was submitted: the display had waited long enough."""
        self.unfinished = [each for each in self.unfinished if each[1] is not image]

    @rule(gpu_ms=st.integers(1, 40))
    def submit_late(self, gpu_ms: int) -> None:
        if self.unfinished:
            picture, image = self.unfinished.pop(0)
            if picture.client.is_alive:
                picture.render(image, gpu_ms * MS)

    @rule(window=windows, attach_null=st.booleans())
    def commit_without_a_buffer(self, window: Window, attach_null: bool) -> None:
        if window.surface.alive and window.client.is_alive:
            if attach_null and window.xdg.is_configured:
                window.surface.pending.attached = None
            window.commit()
            if attach_null and not window.xdg.said_hello:
                window.commit()
                window.ack()

    @rule(window=windows, seldom=SELDOM)
    def destroy_a_wl_buffer(self, window: Window, seldom: bool) -> None:
        if seldom and window.client.is_alive and window.images:
            image = window.images.pop(next(iter(window.images)))
            self.world.core.destroy_buffer(image.buffer, self.world.now_ns)
            image.was_used = False

    @rule(child=children, synchronized=st.booleans())
    def change_synchronization(self, child: Picture, synchronized: bool) -> None:
        if child.surface.alive and child.client.is_alive:
            self.world.core.subsurfaces.set_synchronized(
                child.surface, synchronized=synchronized, now_ns=self.world.now_ns
            )
            self.world.settle()

    @rule(child=children, seldom=SELDOM)
    def destroy_a_subsurface(self, child: Picture, seldom: bool) -> None:
        if seldom and child.surface.alive and child.client.is_alive:
            child.destroy()

    @rule(window=windows, seldom=SELDOM)
    def close_a_window(self, window: Window, seldom: bool) -> None:
        if seldom and window.surface.alive and window.client.is_alive:
            window.destroy()

    @rule(window=windows, seldom=SELDOM)
    def kill_a_client(self, window: Window, seldom: bool) -> None:
        if seldom and window.client.is_alive:
            window.client.hang_up()

    # -- the desktop ------------------------------------------------------------------------------

    @rule(window=windows, x=st.integers(-40, 600), y=st.integers(-40, 200))
    def move_a_window(self, window: Window, x: int, y: int) -> None:
        if window.toplevel.alive:
            self.world.core.shell.move(window.toplevel, x=x, y=y, now_ns=self.world.now_ns)
            self.world.settle()

    @rule(window=windows, on=st.booleans())
    def minimize_or_activate(self, window: Window, on: bool) -> None:
        if window.toplevel.alive:
            shell = self.world.core.shell
            (shell.set_minimized if on else shell.activate)(window.toplevel, self.world.now_ns)
            self.world.settle()

    @rule(number=st.integers(0, 1), mode=st.sampled_from(AcquireMode))
    def switch_acquire_mode(self, number: int, mode: AcquireMode) -> None:
        self.world.core.set_acquire_mode(self.world.core.outputs[number], mode, self.world.now_ns)
        self.world.settle()

    @rule(number=st.integers(0, 1))
    def capture(self, number: int) -> None:
        self.world.capture(self.world.core.outputs[number])

    @rule(window=windows, x=st.integers(0, 639), y=st.integers(0, 239))
    def point_with_a_cursor(self, window: Window, x: int, y: int) -> None:
        if window.client.is_alive:
            core, now_ns = self.world.core, self.world.now_ns
            cursor = window.client.cursor()
            core.seat.move_pointer(x=x, y=y, now_ns=now_ns)
            core.seat.set_cursor(window.client.peer, cursor.surface, hotspot=(2, 2), now_ns=now_ns)
            self._present(cursor, 1)

    @rule(ms=st.integers(1, 60))
    def wait(self, ms: int) -> None:
        self.world.run_ms(ms)

    # -- the end ----------------------------------------------------------------------------------

    def teardown(self) -> None:
        try:
            self.check_that_nothing_is_lost()
        finally:
            self.world.drop()

    def calm_down(self) -> None:
        self.is_over = True
        while self.unfinished:
            self.submit_late(1)
        self.world.calm_down()

    def check_that_nothing_is_lost(self) -> None:
        """When all windows are gone and all flips have landed, every image is free."""
        self.calm_down()
        for client in self.world.clients:
            for picture in (*client.windows, *client.pictures):
                if client.is_alive and picture.surface.alive:
                    picture.destroy()
        self.world.settle()
        self.world.calm_down()
        for image in self.world.images:
            if image.client.is_alive and image.was_used:
                assert image.is_free, f"{image.name} never came back"
        self.world.close()


class AnyHonestSessionOnTime(AnyHonestSession):
    policy = Policy()

    @invariant()
    def no_frame_is_late_by_our_fault(self) -> None:
        for frame in self.world.frames():
            assert frame.missed_by_us == 0, frame


class AnyHonestSessionInPixels(AnyHonestSession):
    """Painting only what changed, onto an image some frames old, is the same as painting everything."""

    policy = Policy(direct_scanout=False)

    def check_that_nothing_is_lost(self) -> None:
        self.calm_down()
        for output in self.world.core.outputs:
            assert self.world.scanned_out(output) == self.world.photograph(output)
        super().check_that_nothing_is_lost()


class AnyHonestSessionOnAClassicDesktop(AnyHonestSession):
    """Fences are forwarded, implicit ones too."""

    policy = Policy(
        acquire=AcquireMode.FENCE_FORWARD, implicit=ImplicitMode.FORWARD,
        composition_fixed_ns=2 * MS, first_margin_ns=6 * MS,
    )  # fmt: skip


class AnyHonestSessionOnUserFences(AnyHonestSessionOnTime):
    """The display waits where it can, and not for long; nobody else is late because of that."""

    policy = Policy(acquire=AcquireMode.USER_FORWARD, acquire_timeout_ns=60 * MS)
    on_user_fences = frozenset({0, 1})

    @invariant()
    def no_frame_is_late_by_a_parked_one(self) -> None:
        """But a newcomer to a screen that somebody has alone may find the next vblank taken (0007)."""
        for frame in self.world.frames():
            assert frame.missed_by_others <= 1, frame

    @rule()
    def switch_acquire_mode(self) -> None:
        """Others make no such promise."""

    @rule(window=AnyHonestSession.windows, seldom=SELDOM)
    def kill_a_client(self, window: Window, seldom: bool) -> None:
        """With nothing left to do: what the dead have promised counts as done, and is shown as it is (0005)."""
        images = [image for image in self.world.images if image.client is window.client]
        if seldom and window.client.is_alive and all(image.is_finished for image in images):
            window.client.hang_up()


TestAnyHonestSession = AnyHonestSession.TestCase
TestAnyHonestSessionOnTime = AnyHonestSessionOnTime.TestCase
TestAnyHonestSessionOnUserFences = AnyHonestSessionOnUserFences.TestCase
TestAnyHonestSessionInPixels = AnyHonestSessionInPixels.TestCase
TestAnyHonestSessionOnAClassicDesktop = AnyHonestSessionOnAClassicDesktop.TestCase
