"""Sub-surfaces: what waits together changes together (protocol.md 5.6)."""

from typing import Final

from syncline.conformance.case import RunClass, case
from syncline.conformance.pace import check_after, held
from syncline.conformance.trial import Trial
from syncline.conformance.window import Child, Window

S, D, T = RunClass.S, RunClass.D, RunClass.T
FAR: Final = 1 << 20
"""Off every screen, in surface coordinates."""


def _tree(trial: Trial, *, explicit: bool = True, desync: bool = False) -> tuple[Window, Child]:
    """A mapped parent with a mapped child."""
    parent = Window(trial, explicit=explicit)
    child = Child(parent, explicit=explicit, desync=desync)
    child.show(child.image(32, 32) if explicit else child.client.shm_buffer(32, 32))
    parent.settle(parent.show(parent.image() if explicit else parent.client.shm_buffer()))
    return parent, child


@case("U1 C2", S)
def test_sub_01_a_new_subsurface_is_synchronized(trial: Trial) -> None:
    """Its commit is not applied before the parent's next."""
    parent = Window(trial, explicit=False)
    child = Child(parent, explicit=False)
    parent.settle(parent.show(parent.client.shm_buffer()))
    frame = child.show(child.client.shm_buffer(32, 32))
    held(trial, frame, "a child's commit without one of its parent")
    parent.commit()
    child.settle(frame)


@case("C3 C5 S69", T)
def test_sub_02_a_parent_waits_for_its_synchronized_child(trial: Trial) -> None:
    """The child's image is not ready: the parent's update waits with it, then both are there at once."""
    parent, child = _tree(trial)
    below = child.show(child.image(32, 32), ready=False)
    above = parent.show(parent.image())
    held(trial, above, "a parent whose synchronized child is not ready")
    below.signal()
    trial.expect(lambda: above.is_presented and below.is_presented, "presentation of parent and child")
    check_after(trial, above, below.signalled_ns)
    trial.check(above.presented_ns == below.presented_ns, "parent and child were not presented together")


@case("S61 C3", T)
def test_sub_03_a_parent_does_not_wait_for_a_desynchronized_child(trial: Trial) -> None:
    """The child waits alone."""
    parent, child = _tree(trial, desync=True)
    below = child.show(child.image(32, 32), ready=False)
    above = parent.show(parent.image())
    trial.expect(lambda: above.is_presented, "presentation of the parent of a waiting desynchronized child")
    trial.check(not below.is_done, "the unready child was applied with its parent")
    below.signal()
    trial.expect(lambda: below.is_presented, "presentation of the child")


@case("S56 C3", T)
def test_sub_04_a_bufferless_commit_does_not_end_the_childs_wait(trial: Trial) -> None:
    """Cached: an unready image, then nothing new. The image is still waited for."""
    parent, child = _tree(trial)
    below = child.show(child.image(32, 32), ready=False)
    child.commit()
    above = parent.show(parent.image())
    held(trial, above, "a parent whose child has an unready image in its queue")
    below.signal()
    trial.expect(lambda: above.is_presented, "presentation of the parent")
    check_after(trial, above, below.signalled_ns)


@case("S93", D, priority=2)
def test_sub_05_a_cached_frame_that_is_replaced_is_given_back(trial: Trial) -> None:
    """Two images cached before the parent commits: the first was never shown and is owed all the same."""
    parent, child = _tree(trial)
    first = child.show(child.image(32, 32))
    child.show(child.image(32, 32))
    parent.settle(parent.commit())
    trial.expect(lambda: first.is_released, "the release point of a cached frame that was replaced")


@case("C4 C6", D)
def test_sub_06_cached_frames_apply_on_leaving_synchronized_mode(trial: Trial) -> None:
    """No commit of the parent is needed any more."""
    parent, child = _tree(trial)
    first = child.show(child.image(32, 32))
    second = child.show(child.image(32, 32))
    held(trial, second, "a synchronized child's commit without one of its parent")
    child.sub.send("set_desync")
    child.settle(second)
    trial.expect(lambda: first.is_released, "the release point of the frame that was replaced")
    parent.settle(parent.commit())


@case("C5 U2", T)
def test_sub_07_three_generations_change_at_once(trial: Trial) -> None:
    """Grandchild, child and parent with acquires of their own: nothing before the last of them."""
    parent, child = _tree(trial)
    grandchild = Child(child, desync=True)  # synchronized all the same, for its parent is
    grandchild.show(grandchild.image(8, 8))
    child.show(child.image(32, 32))
    parent.settle(parent.show(parent.image()))  # all three can be seen
    frames = [
        grandchild.show(grandchild.image(16, 16), ready=False),
        child.show(child.image(32, 32), ready=False),
        parent.show(parent.image(), ready=False),
    ]
    for number in (2, 0, 1):
        for frame in frames:
            held(trial, frame, "a part of a tree that is not ready")
        frames[number].signal()
    trial.expect(lambda: all(each.is_presented for each in frames), "presentation of three generations")
    trial.check(len({each.presented_ns for each in frames}) == 1, "not all three at once")
    check_after(trial, frames[2], frames[1].signalled_ns)


@case("S56 S87", T, priority=2)
def test_sub_08_one_buffer_in_parent_and_child_waits_for_both(trial: Trial) -> None:
    """The same wl_buffer twice in one tree, with two acquire points: both are honoured."""
    parent, child = _tree(trial)
    child.sub.send("set_position", 32, 32)  # so that a part of the parent can be seen
    buffer = parent.image()
    below = child.show(buffer, ready=False)
    above = parent.show(buffer, ready=False)
    below.signal()
    held(trial, above, "a tree of which one half is ready")
    above.signal()
    trial.expect(lambda: above.is_presented, "presentation of the tree")
    check_after(trial, above, above.signalled_ns)


@case("S94 U4", D)
def test_sub_09_a_child_destroyed_while_it_waits_lets_its_parent_go(trial: Trial) -> None:
    """The tree goes on without it, and what it owed is given back."""
    parent, child = _tree(trial)
    below = child.show(child.image(32, 32), ready=False)
    above = parent.show(parent.image())
    parent.client.roundtrip()
    child.destroy()
    parent.settle(above)
    trial.expect(lambda: below.is_released, "the release point of a child destroyed while it waited")

    parent, child = _tree(trial)  # only the role goes, and the image is ready later
    below = child.show(child.image(32, 32), ready=False)
    above = parent.show(parent.image())
    parent.client.roundtrip()
    child.sub.send("destroy")
    parent.client.roundtrip()
    below.signal()
    parent.settle(above)


@case("S94 U6", D, priority=2)
def test_sub_10_a_parent_destroyed_while_its_child_waits_leaves_nothing_owed(trial: Trial) -> None:
    """The child is unmapped; its frames are given back when it goes, too."""
    parent, child = _tree(trial)
    below = child.show(child.image(32, 32), ready=False)
    above = parent.show(parent.image())
    parent.destroy()
    trial.expect(lambda: above.is_released, "the release point of a parent destroyed while its child waited")
    child.destroy()
    trial.expect(lambda: below.is_released, "the release point of the child")


@case("U3 C5", T, priority=2)
def test_sub_11_a_new_position_waits_with_its_parents_update(trial: Trial) -> None:
    """Moving the child off the screen is the parent's state: the bufferless commit that carries it waits for the child."""
    parent, child = _tree(trial)
    parent.client.bind_all("wl_output")
    below = child.show(child.image(32, 32), ready=False)
    child.sub.send("set_position", FAR, FAR)
    trial.pass_ms(100)
    moved = parent.commit()
    held(trial, moved, "a move that belongs to an update that waits")
    trial.check(not child.wl.count("leave"), "the child left its output with a move that was not applied yet")
    below.signal()
    parent.settle(moved)


@case("C3 C17", T, priority=2)
def test_sub_12_a_parents_second_commit_keeps_its_place(trial: Trial) -> None:
    """Two commits of the parent while its child waits: order kept, no callback lost."""
    parent, child = _tree(trial)
    below = child.show(child.image(32, 32), ready=False)
    frames = [parent.show(parent.image()), parent.show(parent.image())]
    for frame in frames:
        held(trial, frame, "a parent behind its waiting child")
    below.signal()
    trial.expect(lambda: all(each.is_done for each in frames), "the callbacks of both commits")
    trial.expect(lambda: all(each.outcome for each in (*frames, below)), "feedback of all three commits")


@case("U4 C6", D)
def test_sub_14_a_child_that_is_none_any_more_is_free_of_its_parent(trial: Trial) -> None:
    """The role is removed at once: what its surface had cached is applied without a commit of the parent."""
    parent = Window(trial)
    child = Child(parent)
    shown = child.show(child.image(32, 32))
    parent.settle(parent.show(parent.image()))
    child.show(child.image(32, 32))
    parent.client.roundtrip()
    child.sub.send("destroy")
    trial.expect(lambda: shown.is_released, "the release point of what a cached frame replaced")


@case("U8", S, priority=2)
def test_sub_13_a_stranger_is_no_sibling(trial: Trial) -> None:
    """place_above and place_below take siblings and the parent, nobody else."""
    for request in ("place_above", "place_below"):
        client = trial.client(request)
        parent = Window(trial, client, explicit=False)
        child = Child(parent, explicit=False)
        child.sub.send(request, client.surface())
        trial.note(client.expect_error(child.sub, "bad_surface"))
