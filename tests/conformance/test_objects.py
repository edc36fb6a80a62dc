"""Objects of linux-drm-syncobj-v1 and how long they live (protocol.md 5.1)."""

import os
import tempfile
from typing import Final

from syncline.conformance.case import DMABUF, PRESENTATION, SYNCOBJ, RunClass, case
from syncline.conformance.pace import WHILE_NS
from syncline.conformance.thing import Thing
from syncline.conformance.trial import Trial
from syncline.conformance.window import Canvas, Child, Frame, Point, Window

D, M = RunClass.D, RunClass.M
CHURN: Final = 10_000
IDS_TRIED: Final = 200
BATCH: Final = 20
SLACK: Final = 8
"""Descriptors that a compositor may keep for another reason."""


@case("S2 S3 S6", D)
def test_obj_01_destroying_the_manager_leaves_its_children_working(trial: Trial) -> None:
    """Timelines, surface objects and points outlive the manager, and none of the three ever speaks."""
    window = Window(trial)
    manager = window.client.bind(SYNCOBJ)
    acquire, release, *next_points = (window.new_point() for _ in range(4))
    manager.send("destroy")
    frame = window.show(window.image(), acquire=acquire, release=release)
    window.settle(window.show(window.image(), acquire=next_points[0], release=next_points[1]))
    trial.expect(lambda: frame.is_released, "the release point of a frame shown after the manager's end")
    spoke = [each for each in (manager, window.sync_object, acquire.wl, release.wl) if each.heard]
    trial.check(not spoke, f"events from {spoke}, which have none")


@case("S4 S8", D)
def test_obj_02_a_second_surface_object_is_surface_exists(trial: Trial) -> None:
    """A surface has one live object; asking the same manager for another names the manager."""
    canvas = Canvas(trial, trial.client())
    canvas.client.sync_surface(canvas.wl)
    trial.note(canvas.client.expect_error(canvas.client.bind(SYNCOBJ), "surface_exists"))


@case("S8", D, priority=2)
def test_obj_03_a_second_surface_object_by_another_binding_is_surface_exists(trial: Trial) -> None:
    """The rule is about the surface, whichever binding is asked; the error names the one that was."""
    canvas = Canvas(trial, trial.client())
    second = canvas.client.bind(SYNCOBJ, again=True)
    second.make("get_surface", canvas.wl)
    trial.note(canvas.client.expect_error(second, "surface_exists"))


@case("S9", D)
def test_obj_04_a_surface_object_may_be_made_again_but_not_twice(trial: Trial) -> None:
    """After destroy another may be made, and then a third one is too many again."""
    canvas = Canvas(trial, trial.client())
    canvas.destroy_sync()
    canvas.sync = canvas.client.sync_surface(canvas.wl)
    canvas.client.roundtrip()
    canvas.client.sync_surface(canvas.wl)
    trial.note(canvas.client.expect_error(canvas.client.bind(SYNCOBJ), "surface_exists"))


@case("S9 S38", D)
def test_obj_05_an_object_made_again_judges_as_the_first_did(trial: Trial) -> None:
    """A missing acquire point is fatal for the second object, too."""
    window = Window(trial)
    window.destroy_sync()
    window.sync = window.client.sync_surface(window.wl)
    window.attach(window.image())
    window.set_points(None, window.new_point())
    window.wl.send("commit")
    trial.note(window.client.expect_error(window.sync_object, "no_acquire_point"))


@case("S10", D)
def test_obj_06_surface_and_object_go_in_either_order(trial: Trial) -> None:
    """Neither order is an error, and the orphan takes its destroy silently."""
    client = trial.client()
    first, second = Canvas(trial, client), Canvas(trial, client)
    first.wl.send("destroy")
    client.roundtrip()
    first.sync_object.send("destroy")
    second.sync_object.send("destroy")
    client.roundtrip()
    second.wl.send("destroy")
    client.roundtrip()


def _orphan(trial: Trial) -> Canvas:
    canvas = Canvas(trial, trial.client())
    canvas.wl.send("destroy")
    return canvas


@case("S11", D)
def test_obj_07_an_acquire_point_for_an_orphan_is_no_surface(trial: Trial) -> None:
    """No commit can follow, so the request itself is the error."""
    canvas = _orphan(trial)
    canvas.set_points(canvas.new_point(), None)
    trial.note(canvas.client.expect_error(canvas.sync_object, "no_surface"))


@case("S11", D)
def test_obj_08_a_release_point_for_an_orphan_is_no_surface(trial: Trial) -> None:
    """The same on the other side."""
    canvas = _orphan(trial)
    canvas.set_points(None, canvas.new_point())
    trial.note(canvas.client.expect_error(canvas.sync_object, "no_surface"))


@case("S12", D, priority=2)
def test_obj_09_a_recycled_surface_id_has_no_past(trial: Trial) -> None:
    """A new surface with an old number knows nothing of the old one's orphan."""
    client = trial.client()
    old = Canvas(trial, client)
    number = old.wl.id
    old.wl.send("destroy")
    client.roundtrip()
    spare: list[Thing] = []
    while (new := client.surface()).id != number:
        spare.append(new)
        trial.check(len(spare) < IDS_TRIED, f"the id {number} was not given back")
    new.send("attach", client.shm_buffer(), 0, 0)
    new.send("commit")
    client.roundtrip()
    client.sync_surface(new)
    client.roundtrip()
    old.set_points(old.new_point(), None)
    trial.note(client.expect_error(old.sync_object, "no_surface"))


@case("S7", D, priority=2)
def test_obj_10_a_surface_of_any_role_may_have_an_object(trial: Trial) -> None:
    """Roleless, sub-surface, cursor, popup, drag icon: the role is no matter, nor which of the two came first."""
    client = trial.client()
    window = Window(trial, client)
    Canvas(trial, client)
    Child(window)
    popup = Canvas(trial, client)
    positioner = client.bind("xdg_wm_base").make("create_positioner")
    positioner.send("set_size", 32, 32)
    positioner.send("set_anchor_rect", 0, 0, 1, 1)
    xdg = client.bind("xdg_wm_base").make("get_xdg_surface", popup.wl)
    xdg.make("get_popup", window.xdg, positioner)
    if client.offers("wl_seat"):
        cursor, icon = Canvas(trial, client), Canvas(trial, client)
        seat = client.bind("wl_seat")
        client.roundtrip()
        if (seat.last("capabilities") or (0,))[0] & 1:
            seat.make("get_pointer").send("set_cursor", 0, cursor.wl, 0, 0)
        if client.offers("wl_data_device_manager"):
            device = client.bind("wl_data_device_manager").make("get_data_device", seat)
            device.send("start_drag", None, window.wl, icon.wl, 0)
    client.roundtrip()
    old = Window(trial, client, explicit=False)
    child = Child(old, explicit=False)
    child.show(client.shm_buffer(32, 32))
    old.settle(old.show(client.shm_buffer()))
    for canvas in (old, child):
        client.sync_surface(canvas.wl)
    client.roundtrip()


@case("S13 S50 S32", D)
def test_obj_11_making_the_object_does_not_disturb_what_is_shown(trial: Trial) -> None:
    """Content committed without points stays under its old rules, and bufferless commits go on."""
    window = Window(trial, explicit=False)
    window.show(window.client.shm_buffer())
    window.client.roundtrip()
    window.sync = window.client.sync_surface(window.wl)
    frames = [window.commit() for _ in range(3)]
    trial.expect(lambda: all(frame.is_done for frame in frames), "the callbacks of three bufferless commits")
    trial.expect(lambda: all(frame.outcome for frame in frames), "feedback of three bufferless commits")


@case("S4 S6 S15", D)
def test_obj_12_a_descriptor_of_anything_else_is_invalid_timeline(trial: Trial) -> None:
    """A file, a memfd, a pipe, an eventfd, a socket, a sync_file, a dma-buf: each is refused by the manager."""
    device, said = trial.device, ""
    pipe = os.pipe()
    own = [os.eventfd(0), os.memfd_create("no-syncobj"), *pipe]
    with tempfile.TemporaryFile() as file:
        strangers = [file.fileno(), *own, device.fence().fd, device.image().fd]
        for fd in strangers:
            client = trial.client()
            manager = client.bind(SYNCOBJ)
            manager.make("import_timeline", fd)
            said = client.expect_error(manager, "invalid_timeline")
    for fd in own:
        os.close(fd)
    trial.note(f"{said}, for each of {len(strangers)} kinds")


@case("S14", D)
def test_obj_13_the_client_may_close_its_descriptor_at_once(trial: Trial) -> None:
    """The compositor refers to the kernel's object from the moment the request is written."""
    window = Window(trial)
    acquire, release = window.new_point(), window.new_point()  # descriptors are closed by now
    os.close(os.open(os.devnull, os.O_RDONLY))  # and their numbers used again
    first = window.show(window.image(), acquire=acquire, release=release, ready=False)
    first.signal()
    window.show(window.image())
    trial.expect(lambda: first.is_released, "the release point, by a timeline whose descriptor is closed")


@case("S16 S17", D, priority=2)
def test_obj_14_one_syncobj_may_be_imported_twice(trial: Trial) -> None:
    """Two imports are two handles: destroying one leaves the other."""
    window = Window(trial)
    release = window.new_point()
    again = window.client.timeline(release.timeline)
    again.send("destroy")
    frame = window.show(window.image(), release=release)
    window.replace()
    trial.expect(lambda: frame.is_released, "the release point, by the import that is left")


@case("S19", D, priority=2, practice=True)
def test_obj_15_a_syncobj_of_another_node_is_as_good(trial: Trial) -> None:
    """Only the descriptor counts, not the node through which the syncobj was made."""
    window = Window(trial)
    syncobj = trial.device_by("render").timeline()
    release = Point(syncobj, window.client.timeline(syncobj), 1)
    frame = window.show(window.image(), release=release)
    window.replace()
    trial.expect(lambda: frame.is_released, "the release point, on a syncobj of the render node")


@case("S24", D, practice=True)
def test_obj_16_ten_thousand_imports_are_forgotten_again(trial: Trial) -> None:
    """Import and destroy leave nothing behind; afterwards a frame is shown as before."""
    client = trial.client()
    syncobj = trial.device.timeline()
    fd = syncobj.export()
    manager = client.bind(SYNCOBJ)
    client.roundtrip()
    before = trial.stand.fd_count()
    for _ in range(CHURN // BATCH):
        for _ in range(BATCH):
            manager.make("import_timeline", fd).send("destroy")
        client.roundtrip()
    after = trial.stand.fd_count()
    os.close(fd)
    if before is None or after is None:
        trial.note("its descriptors cannot be counted from here")
    else:
        trial.check(after <= before + SLACK, f"{before} descriptors before {CHURN} imports, {after} after")
        trial.note(f"descriptors: {before} before, {after} after")
    window = Window(trial, client)
    frame = window.show(window.image())
    window.replace()
    trial.expect(lambda: frame.is_released, f"a release point after {CHURN} imports")


@case("S1 S31 S70", D)
def test_obj_17_the_global_means_that_it_works(trial: Trial) -> None:
    """Whoever advertises it imports a timeline, takes a frame with points and releases it."""
    window = Window(trial)
    first = window.show(window.image())
    window.show(window.image())
    trial.expect(lambda: first.is_released, "the release point of the very first frame, once replaced")


@case("S30", D, priority=2)
def test_obj_18_timeline_and_surface_object_may_come_by_different_bindings(trial: Trial) -> None:
    """Both belong to the client, not to the binding they were made with."""
    window = Window(trial)
    other = window.client.bind(SYNCOBJ, again=True)
    release = window.new_point()
    release.wl.send("destroy")
    acquire = window.new_point()
    imported = window.client.timeline(release.timeline, manager=other)
    acquire.signal()
    window.sync_object.send("set_acquire_point", acquire.wl, 1)
    window.sync_object.send("set_release_point", imported, 1)
    window.attach(window.image())
    window.wl.send("commit")
    window.replace()
    trial.expect(lambda: release.reached, "the release point, imported by another binding")


@case("S21 S23", D)
def test_obj_21_points_outlive_the_timelines_they_were_set_by(trial: Trial) -> None:
    """Set, and both timeline objects destroyed before the commit: it is complete, waited for and given back."""
    window = Window(trial)
    acquire, release = window.new_point(), window.new_point()
    window.set_points(acquire, release)
    acquire.wl.send("destroy")
    release.wl.send("destroy")
    window.attach(window.image())
    frame = window.commit(acquire, release)
    trial.never(lambda: frame.is_done, "a frame whose acquire point has no fence yet")
    frame.signal()
    window.settle(frame)
    window.replace()
    trial.expect(lambda: frame.is_released, "the release point on a timeline whose object is gone")


TEARDOWNS: Final = 500


@case("S10 S21 S22 S23 S82", D)
def test_obj_19_objects_may_go_in_any_order_while_frames_wait(trial: Trial) -> None:
    """Whatever order a client's objects go in, waits and all: no error, and every point is reached."""
    client = trial.client()
    for _ in range(TEARDOWNS):
        _tear_down(trial, Window(trial, client))
    client.roundtrip()


def _tear_down(trial: Trial, window: Window) -> None:
    buffers = [window.image(), window.image()]
    frames = [window.show(buffer, ready=trial.random.random() < 0.5) for buffer in buffers]
    xdg_goes_first: list[Thing] = [window.toplevel, window.xdg, window.wl]
    others = [window.sync_object, *buffers]
    others += [point.wl for frame in frames for point in (frame.acquire, frame.release) if point is not None]
    order = _shuffled(trial, xdg_goes_first, others)
    for thing in order:
        thing.send("destroy")
    window.client.roundtrip()
    trial.expect(
        lambda: all(frame.is_released for frame in frames), "the release points of a torn down window"
    )
    _forget(frames)


def _shuffled(trial: Trial, ordered: list[Thing], free: list[Thing]) -> list[Thing]:
    order = list(ordered)
    for each in free:
        order.insert(trial.random.randrange(len(order) + 1), each)
    return order


def _forget(frames: list[Frame]) -> None:
    for frame in frames:
        for point in (frame.acquire, frame.release):
            if point is not None:
                point.timeline.destroy()
        if frame.released is not None:
            frame.released.close()


@case("S20 S102", M, priority=2, needs=(SYNCOBJ, DMABUF, PRESENTATION), device=True, practice=True)
def test_obj_20_a_device_that_takes_no_more_is_not_the_clients_fault(trial: Trial) -> None:
    """Good syncobjs cannot be imported any more: no error, and what there was before goes on."""
    client = trial.client()
    window, doomed = Window(trial, client), Window(trial, client)
    for each in (window, doomed):
        each.settle(each.show(each.image()))
    acquire, release = window.new_point(), window.new_point()
    client.roundtrip()
    trial.faults.inject("SyncobjFdToHandle=ENODEV:1:*")
    lost = doomed.show(doomed.image())
    client.roundtrip()
    trial.until(lambda: lost.is_presented, within_ns=WHILE_NS)
    trial.note(f"a frame with timelines that were lost: {lost.outcome or 'waits'}")
    frame = window.show(window.image(), acquire=acquire, release=release)
    trial.expect(lambda: frame.is_presented, "presentation of a frame with timelines from before")
    trial.faults.clear()
    doomed.destroy()
    after = window.show(window.image())
    trial.expect(lambda: after.is_presented, "presentation of a frame once the device takes syncobjs again")
    trial.expect(lambda: frame.is_released, "the release point of the frame before it")
