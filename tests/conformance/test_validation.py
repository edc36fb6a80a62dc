"""What a commit may bring while the surface object lives (protocol.md 5.2)."""

from collections.abc import Callable
from itertools import permutations
from typing import Final

from syncline.conformance.case import RunClass, case
from syncline.conformance.pace import check_rate, rate
from syncline.conformance.thing import Thing
from syncline.conformance.trial import Trial
from syncline.conformance.window import Canvas, Frame, Point, Window

D = RunClass.D
TOP: Final = (1 << 64) - 1
SINGLE_PIXEL: Final = "wp_single_pixel_buffer_manager_v1"


def _refused(trial: Trial, window: Canvas, *names: str) -> None:
    """Commit, and be thrown out for it by the surface object."""
    window.wl.send("commit")
    trial.note(window.client.expect_error(window.sync_object, *names))


def _replaced(trial: Trial, window: Canvas, frame: Frame) -> None:
    """Show something else: then the frame has to be given back."""
    window.show(window.image())
    trial.expect(lambda: frame.is_released, "the release point of a frame that was replaced")


@case("S31", D)
def test_val_01_a_buffer_with_both_points_is_accepted(trial: Trial) -> None:
    """The one complete commit there is."""
    window = Window(trial)
    _replaced(trial, window, window.show(window.image()))


@case("S38", D)
def test_val_02_a_buffer_without_acquire_is_no_acquire_point(trial: Trial) -> None:
    """The release point alone does not do."""
    window = Window(trial)
    window.attach(window.image())
    window.set_points(None, window.new_point())
    _refused(trial, window, "no_acquire_point")


@case("S39", D)
def test_val_03_a_buffer_without_release_is_no_release_point(trial: Trial) -> None:
    """The acquire point alone does not do."""
    window = Window(trial)
    window.attach(window.image())
    window.set_points(window.new_point(), None)
    _refused(trial, window, "no_release_point")


@case("S40", D)
def test_val_04_a_buffer_without_points_is_fatal(trial: Trial) -> None:
    """Which of the two is named is open; to accept it is wrong."""
    window = Window(trial)
    window.attach(window.image())
    _refused(trial, window, "no_acquire_point", "no_release_point")


@case("S37", D)
def test_val_05_an_acquire_point_before_any_buffer_is_no_buffer(trial: Trial) -> None:
    """Nothing was attached in this cycle nor in any before."""
    window = Window(trial)
    window.set_points(window.new_point(), None)
    _refused(trial, window, "no_buffer")


@case("S37", D)
def test_val_06_a_release_point_before_any_buffer_is_no_buffer(trial: Trial) -> None:
    """The same with the other point."""
    window = Window(trial)
    window.set_points(None, window.new_point())
    _refused(trial, window, "no_buffer")


@case("S37", D)
def test_val_07_both_points_before_any_buffer_are_no_buffer(trial: Trial) -> None:
    """The same with both."""
    window = Window(trial)
    window.set_points(window.new_point(), window.new_point())
    _refused(trial, window, "no_buffer")


@case("S37 S29", D)
def test_val_08_points_for_an_earlier_buffer_are_no_buffer(trial: Trial) -> None:
    """The buffer that is shown was the pending one of another commit."""
    window = Window(trial)
    window.show(window.image())
    window.client.roundtrip()
    window.set_points(window.new_point(), window.new_point())
    _refused(trial, window, "no_buffer")


@case("S36", D)
def test_val_09_null_with_both_points_is_no_buffer(trial: Trial) -> None:
    """There is nothing to wait for and nothing to give back."""
    window = Window(trial)
    window.show(window.image())
    window.attach(None)
    window.set_points(window.new_point(), window.new_point())
    _refused(trial, window, "no_buffer")


@case("S34 S35", D)
def test_val_10_null_with_one_point_is_no_buffer(trial: Trial) -> None:
    """The missing buffer is what is wrong, not the missing other point."""
    for has_acquire in (True, False):
        window = Window(trial, trial.client("acquire" if has_acquire else "release"))
        window.attach(None)
        point = window.new_point()
        window.set_points(point if has_acquire else None, None if has_acquire else point)
        _refused(trial, window, "no_buffer")


@case("S33 C10", D)
def test_val_11_null_without_points_removes_the_content(trial: Trial) -> None:
    """No error, and what was shown is given back."""
    window = Window(trial)
    frame = window.show(window.image())
    window.client.roundtrip()
    window.hide()
    trial.expect(lambda: frame.is_released, "the release point of content that was removed")


@case("S32 C1 C9", D)
def test_val_12_commits_without_a_buffer_need_no_points(trial: Trial) -> None:
    """Damage, callbacks, feedback: a chain of bufferless commits is fine, and each gets its answers."""
    window = Window(trial)
    window.show(window.image())
    frames = [window.commit() for _ in range(5)]
    trial.expect(lambda: all(each.is_done for each in frames), "the callbacks of five bufferless commits")


@case("S47 S36", D)
def test_val_13_attach_then_null_counts_as_null(trial: Trial) -> None:
    """The last attach of the cycle is the one that counts."""
    window = Window(trial)
    window.attach(window.image())
    window.attach(None)
    window.set_points(window.new_point(), window.new_point())
    _refused(trial, window, "no_buffer")


@case("S47", D, priority=2)
def test_val_14_null_then_attach_counts_as_the_buffer(trial: Trial) -> None:
    """The other way round it is a complete commit."""
    window = Window(trial)
    window.attach(None)
    _replaced(trial, window, window.show(window.image()))


@case("S28", D)
def test_val_15_attach_and_points_come_in_any_order(trial: Trial) -> None:
    """All six orders of attach, set_acquire_point and set_release_point are the same commit."""
    window = Window(trial)
    frames = []
    for order in permutations(range(3)):
        acquire, release, buffer = window.new_point(), window.new_point(), window.image()
        acquire.signal()
        requests: list[tuple[Thing, str, tuple[object, ...]]] = [
            (window.wl, "attach", (buffer, 0, 0)),
            (window.sync_object, "set_acquire_point", (acquire.wl, 1)),
            (window.sync_object, "set_release_point", (release.wl, 1)),
        ]
        for number in order:
            thing, request, arguments = requests[number]
            thing.send(request, *arguments)
        frames.append(window.commit(acquire, release))
        window.client.roundtrip()
    window.replace()
    trial.expect(lambda: all(each.is_released for each in frames), "six release points, one for every order")


def _conflict(trial: Trial, acquire: int, release: int) -> None:
    window = Window(trial, trial.client(f"{acquire}>={release}"))
    point = window.new_point()
    window.attach(window.image())
    window.set_points(point.at(acquire), point.at(release))
    _refused(trial, window, "conflicting_points")


def _accord(trial: Trial, acquire: Point, release: Point, window: Canvas) -> None:
    acquire.signal()
    frame = window.show(window.image(), acquire=acquire, release=release)
    _replaced(trial, window, frame)


@case("S42", D)
def test_val_16_equal_points_on_one_timeline_conflict(trial: Trial) -> None:
    """The release would be reached together with the acquire."""
    _conflict(trial, 7, 7)


@case("S42", D)
def test_val_17_acquire_above_release_on_one_timeline_conflicts(trial: Trial) -> None:
    """The release would be reached before the acquire."""
    _conflict(trial, 8, 7)


@case("S43", D)
def test_val_18_acquire_below_release_on_one_timeline_is_accepted(trial: Trial) -> None:
    """One timeline for both is fine in this order."""
    window = Window(trial)
    point = window.new_point()
    _accord(trial, point.at(7), point.at(8), window)


@case("S44", D)
def test_val_19_values_of_different_timelines_are_not_compared(trial: Trial) -> None:
    """Above, equal: the numbers of two timelines have nothing to do with each other."""
    window = Window(trial)
    _accord(trial, window.new_point(9), window.new_point(3), window)
    _accord(trial, window.new_point(5), window.new_point(5), window)


@case("S45 S26 S49", D)
def test_val_20_a_conflict_corrected_before_the_commit_is_none(trial: Trial) -> None:
    """The values in force at the commit are judged, not those set on the way."""
    window = Window(trial)
    point = window.new_point()
    window.set_points(point.at(9), point.at(4))
    window.client.roundtrip()
    _accord(trial, point.at(3), point.at(4), window)


@case("S26", D)
def test_val_36_a_release_point_replaced_before_the_commit_is_left_alone(trial: Trial) -> None:
    """The replaced value belongs to no commit: it is not reached, not even when the frame is given back."""
    window = Window(trial)
    replaced = window.new_point()
    window.set_points(None, replaced)
    frame = window.show(window.image())
    window.settle(frame)
    _replaced(trial, window, frame)
    trial.never(lambda: replaced.reached, "a release point that was replaced")


@case("S25 S42", D)
def test_val_21_a_conflict_is_found_in_all_64_bits(trial: Trial) -> None:
    """Comparing only the low or only the high words gives the wrong answer in one of these."""
    _conflict(trial, (1 << 32) + 1, 2)
    _conflict(trial, (2 << 32) + 1, (1 << 32) + 5)
    window = Window(trial)
    point = window.new_point()
    _accord(trial, point.at(2), point.at((1 << 32) + 1), window)


@case("S18", D, priority=2)
def test_val_22_a_conflict_through_two_imports_is_recorded(trial: Trial) -> None:
    """Whether two imports of one syncobj are identical timelines is open; either answer is right."""
    window = Window(trial)
    point = window.new_point()
    again = Point(point.timeline, window.client.timeline(point.timeline), 3)
    window.attach(window.image())
    window.set_points(point.at(5), again)
    window.wl.send("commit")
    trial.note(_recorded(trial, window, "conflicting_points"))


def _recorded(trial: Trial, window: Canvas, *names: str) -> str:
    """What came of it, accepted or refused; only another error is a failure."""
    client = window.client
    if not trial.until(lambda: client.is_over, within_ns=500_000_000):
        return "recorded: accepted"
    return f"recorded: {client.expect_error(window.sync_object, *names)}"


@case("S29", D)
def test_val_23_points_do_not_stick(trial: Trial) -> None:
    """The commit consumed them: the next buffer needs two new ones."""
    window = Window(trial)
    window.show(window.image())
    window.client.roundtrip()
    window.attach(window.image())
    _refused(trial, window, "no_acquire_point", "no_release_point")


@case("S27", D, priority=2)
def test_val_24_points_wait_for_the_commit_of_their_own_surface(trial: Trial) -> None:
    """A commit of another surface neither judges nor consumes them."""
    client = trial.client()
    first, second = Window(trial, client), Window(trial, client)
    acquire, release = first.new_point(), first.new_point()
    first.set_points(acquire, release)
    other = second.show(second.image())
    client.roundtrip()
    first.attach(first.image())
    acquire.signal()
    frame = first.commit(acquire, release)
    _replaced(trial, second, other)
    _replaced(trial, first, frame)


def _without_explicit_sync(trial: Trial, buffer: Callable[[Canvas], Thing]) -> None:
    window = Window(trial)
    frame = window.show(buffer(window))
    if trial.until(lambda: window.client.is_over, within_ns=500_000_000):
        trial.note(window.client.expect_error(window.sync_object, "unsupported_buffer"))
        return
    trial.note("recorded: accepted")
    _replaced(trial, window, frame)


@case("S41 S54 S70", D)
def test_val_25_shared_memory_with_points_is_refused_or_given_back(trial: Trial) -> None:
    """Support beyond dma-bufs is optional; whoever accepts owes the release point."""
    _without_explicit_sync(trial, lambda window: window.client.shm_buffer())


@case("S54", D)
def test_val_26_shared_memory_without_points_is_fatal(trial: Trial) -> None:
    """Some rule is broken whether the buffer would be supported or not."""
    window = Window(trial)
    window.attach(window.client.shm_buffer())
    _refused(trial, window, "unsupported_buffer", "no_acquire_point", "no_release_point")


@case("S41 Q1", D, priority=2, needs=(SINGLE_PIXEL,))
def test_val_27_a_single_pixel_with_points_is_refused_or_given_back(trial: Trial) -> None:
    """As for shared memory."""
    _without_explicit_sync(trial, _pixel)


def _pixel(window: Canvas) -> Thing:
    manager = window.client.bind(SINGLE_PIXEL)
    return manager.make("create_u32_rgba_buffer", 0, 0, 0, (1 << 32) - 1)


@case("S55", D, priority=2)
def test_val_28_a_dmabuf_of_any_version_has_explicit_sync(trial: Trial) -> None:
    """Made by version 3, 4, 5 or 6, by create or create_immed: all are taken with points."""
    client = trial.client()
    versions = [each for each in (3, 4, 5, 6) if client.offers("zwp_linux_dmabuf_v1", each)]
    for version in versions:
        window = Window(trial, client)
        image = trial.device.image()
        _replaced(trial, window, window.show(client.buffer(image, version=version)))
        _replaced(trial, window, window.show(_created(trial, window, version)))
    trial.note(f"versions {', '.join(map(str, versions))}")


def _created(trial: Trial, window: Canvas, version: int) -> Thing:
    """A buffer by the request that answers with an event."""
    image, client = trial.device.image(), window.client
    params = client.bind("zwp_linux_dmabuf_v1", version=version).make("create_params")
    params.send("add", image.fd, 0, 0, image.pitch, 0)
    params.send("create", image.width, image.height, 0x34325258, 0)
    trial.expect(lambda: params.last("created") is not None, "zwp_linux_buffer_params_v1.created")
    (made,) = params.last("created") or ()
    assert isinstance(made, Thing)
    return made


@case("S4 S5", D)
def test_val_29_every_error_is_on_the_object_that_owns_its_code(trial: Trial) -> None:
    """Manager codes name the manager and surface codes the surface object: the same number elsewhere lies."""
    said = []
    canvas = Canvas(trial, trial.client("twice"))
    manager = canvas.client.bind("wp_linux_drm_syncobj_manager_v1")
    canvas.client.sync_surface(canvas.wl)
    said.append(canvas.client.expect_error(manager, "surface_exists"))
    for name, acquire, release, with_buffer in (
        ("no_buffer", True, True, False),
        ("no_acquire_point", False, True, True),
        ("no_release_point", True, False, True),
    ):
        window = Window(trial, trial.client(name))
        if with_buffer:
            window.attach(window.image())
        window.set_points(window.new_point() if acquire else None, window.new_point() if release else None)
        window.wl.send("commit")
        said.append(window.client.expect_error(window.sync_object, name))
    trial.note(f"{len(said)} errors on their own objects")


@case("S48 C11", D, priority=2)
def test_val_30_a_pending_buffer_destroyed_is_recorded(trial: Trial) -> None:
    """Core leaves open what a destroyed pending buffer counts as: taken, no_buffer, or content removed."""
    window = Window(trial)
    buffer = window.image()
    window.attach(buffer)
    acquire = window.new_point()
    acquire.signal()
    window.set_points(acquire, window.new_point())
    buffer.send("destroy")
    window.wl.send("commit")
    trial.note(_recorded(trial, window, "no_buffer"))


@case("S51 S52", D)
def test_val_31_points_go_with_the_object_and_the_next_commit_is_plain(trial: Trial) -> None:
    """After destroy commits need no points, whatever had been set before."""
    window = Window(trial)
    window.set_points(window.new_point(), window.new_point())
    window.destroy_sync()
    frame = window.show(window.client.shm_buffer())
    trial.expect(lambda: frame.is_done, "the frame callback of a plain commit")


@case("S85", D, priority=2)
def test_val_32_buffer_release_works_again_without_the_object(trial: Trial) -> None:
    """The implicit rules hold again: a replaced buffer gets wl_buffer.release."""
    window = Window(trial)
    window.show(window.image())
    window.client.roundtrip()
    window.destroy_sync()
    plain = window.image()
    window.show(plain)
    window.client.roundtrip()
    window.show(window.image())
    trial.expect(lambda: plain.count("release") > 0, "wl_buffer.release of a plain commit")


@case("S53 X1", D)
def test_val_33_the_first_commit_of_a_role_has_no_buffer_and_no_points(trial: Trial) -> None:
    """With the object alive from the beginning, the bufferless commit still gets its configure."""
    window = Window(trial)
    trial.check(window.xdg.count("configure") > 0, "no configure")
    _replaced(trial, window, window.show(window.image()))


@case("S46", D)
def test_val_34_only_the_offender_is_thrown_out(trial: Trial) -> None:
    """A witness keeps its connection and its frame rate while another client breaks a rule."""
    witness = Window(trial, trial.client("witness"))
    buffer = witness.image()
    before = rate(trial, witness, buffer)
    offender = Window(trial, trial.client("offender"))
    offender.attach(offender.image())
    _refused(trial, offender, "no_acquire_point", "no_release_point")
    check_rate(trial, before, rate(trial, witness, buffer))


@case("S46", D, priority=2)
def test_val_35_of_two_broken_rules_either_may_be_named(trial: Trial) -> None:
    """The text gives no order: any code that applies is right, any other is wrong."""
    points: dict[str, tuple[int, int]] = {"equal": (5, 5), "above": (6, 5)}
    broken = 0
    for name, (acquire, release) in points.items():
        for attached in ("shm", "nothing", "null"):
            _both_broken(trial, f"{name} {attached}", attached, acquire, release)
            broken += 1
    for has_acquire, has_release in ((True, False), (False, True), (False, False)):
        window = Window(trial, trial.client(f"shm {has_acquire} {has_release}"))
        window.attach(window.client.shm_buffer())
        window.set_points(
            window.new_point() if has_acquire else None, window.new_point() if has_release else None
        )
        names = [] if has_acquire else ["no_acquire_point"]
        names += [] if has_release else ["no_release_point"]
        window.wl.send("commit")
        window.client.expect_error(window.sync_object, "unsupported_buffer", *names)
        broken += 1
    trial.note(f"{broken} combinations")


def _both_broken(trial: Trial, name: str, attached: str, acquire: int, release: int) -> None:
    window = Window(trial, trial.client(name))
    point = window.new_point()
    if attached == "shm":
        window.attach(window.client.shm_buffer())
    elif attached == "null":
        window.attach(None)
    window.set_points(point.at(acquire), point.at(release))
    window.wl.send("commit")
    other = "unsupported_buffer" if attached == "shm" else "no_buffer"
    window.client.expect_error(window.sync_object, "conflicting_points", other)
