"""Explicit and plain frames mixed, and whole lives of random traffic (protocol.md 5.5)."""

from typing import Final

from syncline.conformance.case import RunClass, case
from syncline.conformance.thing import Thing
from syncline.conformance.trial import Trial
from syncline.conformance.window import Canvas, Child, Frame, Window

D = RunClass.D
LONG_S: Final = 60
ROUNDS: Final = 100
VIOLATIONS: Final = 60


@case("S98 S9 S51", D)
def test_lif_01_a_surface_changes_its_mind_a_hundred_times(trial: Trial) -> None:
    """Implicit, explicit, implicit: legal at any commit, and every explicit frame is given back."""
    window = Window(trial, explicit=False)
    plain, painted = window.client.shm_buffer(), window.image()
    frames = []
    for _ in range(ROUNDS):
        window.show(plain)
        window.sync = window.client.sync_surface(window.wl)
        frames.append(window.show(painted))
        window.client.roundtrip()
        window.destroy_sync()
    window.show(plain)
    trial.expect(lambda: all(each.is_released for each in frames), f"{ROUNDS} release points")


@case("S7 S61", D)
def test_lif_02_an_explicit_window_may_have_a_plain_child(trial: Trial) -> None:
    """Shared memory below, points above: no rule of one touches the other."""
    window = Window(trial)
    child = Child(window, explicit=False)
    for _ in range(5):
        child.show(child.client.shm_buffer(16, 16))
        frame = window.show(window.image())
        window.settle(frame)
    window.replace()
    trial.expect(lambda: frame.is_released, "the release point of the explicit parent")


@case("S7", D, priority=2)
def test_lif_03_a_plain_window_may_have_an_explicit_child(trial: Trial) -> None:
    """The other way round."""
    window = Window(trial, explicit=False)
    child = Child(window)
    frames = []
    for _ in range(3):
        frames.append(child.show(child.image(16, 16)))
        window.settle(window.show(window.client.shm_buffer()))
    trial.expect(
        lambda: all(each.is_released for each in frames[:-1]), "release points of the explicit child"
    )


@case("S8 S101", D)
def test_lif_04_two_owners_of_one_surface_clash_by_name(trial: Trial) -> None:
    """A library shows frames; a toolkit with a binding of its own then asks for the surface's object."""
    window = Window(trial)
    window.settle(window.show(window.image()))
    toolkit = window.client.bind("wp_linux_drm_syncobj_manager_v1", again=True)
    toolkit.make("get_surface", window.wl)
    trial.note(window.client.expect_error(toolkit, "surface_exists"))


@case("S40 S101", D)
def test_lif_05_a_stray_attach_on_an_explicit_surface_is_fatal(trial: Trial) -> None:
    """A toolkit attaches without points where a library shows explicit frames."""
    window = Window(trial)
    window.settle(window.show(window.image()))
    window.attach(window.image())
    window.wl.send("commit")
    trial.note(window.client.expect_error(window.sync_object, "no_acquire_point", "no_release_point"))


@case("X6 S31", D, priority=2)
def test_lif_06_unmapped_configured_and_mapped_again(trial: Trial) -> None:
    """NULL resets the role; after another configure the next explicit frame is taken."""
    window = Window(trial)
    frame = window.show(window.image())
    window.settle(frame)
    window.hide()
    trial.expect(lambda: frame.is_released, "the release point of an unmapped window")
    window.configure()
    window.settle(window.show(window.image()))


@case("S31 S70", D)
def test_lif_07_a_minute_of_legal_traffic_ends_with_nothing_owed(trial: Trial) -> None:
    """Random frames, waits, hides, children, objects made anew: no error, and all points reached at the end."""
    session = _Session(trial)
    end_ns = trial.now_ns() + round(LONG_S * trial.stand.endurance * 1_000_000_000)
    steps = 0
    while trial.now_ns() < end_ns:
        session.step()
        steps += 1
    session.end()
    trial.note(f"{steps} steps, {session.shown} explicit frames")


class _Session:
    """A client that does anything legal."""

    def __init__(self, trial: Trial) -> None:
        self.trial = trial
        self.window = Window(trial)
        self.child = Child(self.window)
        self.buffers = [self.window.image() for _ in range(4)]
        self.owed: list[Frame] = []
        self.unready: list[Frame] = []
        self.shown = 0

    def step(self) -> None:
        random = self.trial.random
        action = random.choices(
            (self._show, self._show_child, self._signal, self._commit, self._renew, self._destroy_buffer),
            (6, 3, 6, 2, 1, 1),
        )[0]
        action()
        if random.random() < 0.7:
            self.trial.pass_ms(random.choice((5, 17, 33)))
            self._forget_released()

    def _show(self) -> None:
        self._shown(self.window)

    def _show_child(self) -> None:
        self._shown(self.child)
        if self.trial.random.random() < 0.7:
            self.window.commit()

    def _shown(self, canvas: Canvas) -> None:
        if len(self.unready) < 20:
            ready = self.trial.random.random() < 0.5
            frame = canvas.show(self.trial.random.choice(self.buffers), ready=ready)
            self.shown += 1
            self.owed.append(frame)
            if not ready:
                self.unready.append(frame)

    def _signal(self) -> None:
        if self.unready:
            self.unready.pop(self.trial.random.randrange(len(self.unready))).signal()

    def _commit(self) -> None:
        self.window.commit()

    def _renew(self) -> None:
        self.window.destroy_sync()
        self.window.sync = self.window.client.sync_surface(self.window.wl)

    def _destroy_buffer(self) -> None:
        number = self.trial.random.randrange(len(self.buffers))
        self.buffers[number].send("destroy")
        self.buffers[number] = self.window.image()

    def _forget_released(self) -> None:
        for frame in [each for each in self.owed if each.is_released and each not in self.unready]:
            self.owed.remove(frame)
            frame.forget()

    def end(self) -> None:
        for frame in self.unready:
            frame.signal()
        self.child.destroy()
        self.window.destroy()
        owed = self.owed
        self.trial.expect(
            lambda: all(each.is_released for each in owed), f"{len(owed)} points owed at the end"
        )


@case("S46 S34 S35 S36 S37 S38 S39 S42", D, priority=2)
def test_lif_08_a_single_random_violation_gets_its_own_error(trial: Trial) -> None:
    """Legal traffic, then one rule broken: the error is one that the decision table allows."""
    for number in range(VIOLATIONS):
        window = Window(trial, trial.client(f"violator {number}"))
        for _ in range(trial.random.randrange(3)):
            window.show(window.image(), ready=trial.random.random() < 0.8)
        _violate(trial, window)
        window.client.close()
    trial.note(f"{VIOLATIONS} violations")


def _violate(trial: Trial, window: Window) -> None:
    """Any combination of attach and points that is not allowed, and what the table says of it."""
    random = trial.random
    attached = random.choice(("nothing", "null", "buffer"))
    has_acquire, has_release = random.choice(((True, True), (True, False), (False, True)))
    conflicts = attached == "buffer" and has_acquire and has_release
    acquire = window.new_point(random.randrange(1, 100))
    release = acquire.at(random.randrange(1, acquire.value + 1)) if conflicts else window.new_point()
    buffer: Thing | None = window.image() if attached == "buffer" else None
    if attached != "nothing":
        window.attach(buffer)
    window.set_points(acquire if has_acquire else None, release if has_release else None)
    window.wl.send("commit")
    if attached != "buffer":
        name = "no_buffer"
    elif conflicts:
        name = "conflicting_points"
    else:
        name = "no_release_point" if has_acquire else "no_acquire_point"
    window.client.expect_error(window.sync_object, name)
