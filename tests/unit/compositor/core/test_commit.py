"""wl_surface.commit refuses before anything has moved, and limits what may wait."""

from copy import deepcopy

import pytest
from world import Client, World

from syncline.compositor.core.effects import Discarded, FrameDone, LateViolation
from syncline.compositor.core.errors import Violation
from syncline.compositor.core.extent import FIXED
from syncline.compositor.core.report import ViolationEvent
from syncline.compositor.core.state import PendingState
from syncline.compositor.core.update import MAX_QUEUED_UPDATES
from syncline.protocol.enums import WlDisplay, WlSurface, WpLinuxDrmSyncobjSurfaceV1, WpViewport


@pytest.mark.requirement("S46")
def test_a_refused_commit_has_changed_nothing() -> None:
    world = World()
    window = Client(world, "client").window()
    window.present("red")
    world.run_until_ms(20)
    surface = window.surface
    surface.pending.attached = window.image("blue").buffer
    surface.pending.frame_callbacks.append("callback")
    pending, current = surface.pending, surface.current
    before = deepcopy([pending.frame_callbacks, pending.surface_damage, len(surface.queue)])
    loans = surface.content

    with pytest.raises(Violation) as refusal:
        world.core.commit(surface, world.now_ns)

    assert refusal.value.code is WpLinuxDrmSyncobjSurfaceV1.Error.NO_ACQUIRE_POINT
    assert surface.pending is pending
    assert surface.current is current
    assert surface.content is loans
    assert before == [pending.frame_callbacks, pending.surface_damage, len(surface.queue)]
    world.settle()
    assert any(isinstance(event, ViolationEvent) for event in world.reports)


@pytest.mark.requirement("ACQ-22")
def test_too_many_waiting_commits_end_the_client_not_the_desktop() -> None:
    world = World()
    window = Client(world, "client").window()
    window.present("never", gpu_ms=None)
    for _ in range(MAX_QUEUED_UPDATES - 1):
        world.core.commit(window.surface, world.now_ns)

    with pytest.raises(Violation) as refusal:
        world.core.commit(window.surface, world.now_ns)
    assert refusal.value.code is WlDisplay.Error.NO_MEMORY

    window.client.hang_up()
    assert not world.watcher.watches


@pytest.mark.requirement("C15")
def test_get_release_needs_a_buffer() -> None:
    world = World()
    window = Client(world, "client").window()
    window.surface.pending.get_release.append("callback")
    with pytest.raises(Violation) as refusal:
        world.core.commit(window.surface, world.now_ns)
    assert refusal.value.code is WlSurface.Error.NO_BUFFER


@pytest.mark.requirement("V2")
def test_a_viewport_is_judged_when_its_update_is_applied() -> None:
    world = World()
    window = Client(world, "client").window()
    window.surface.pending.viewport_source = (0, 0, 900 * FIXED, 10 * FIXED)
    window.present("late", gpu_ms=5)
    assert not world.told(LateViolation)

    world.run_until_ms(6)

    (effect,) = world.told(LateViolation)
    assert effect.violation.code is WpViewport.Error.OUT_OF_BUFFER


@pytest.mark.requirement("S50")
def test_commits_before_and_after_the_syncobj_surface_need_no_points() -> None:
    world = World()
    window = Client(world, "client").window(explicit=False)
    window.present("plain")
    world.run_until_ms(20)
    window.explicit = window.surface.explicit = True
    window.present("pointed")
    world.run_until_ms(40)
    window.explicit = window.surface.explicit = False
    window.present("plain again")
    world.run_until_ms(60)

    assert len(world.presented_ms(window)) == 3
    assert window.image("pointed").released() == 1


@pytest.mark.requirement("S48")
def test_a_buffer_destroyed_while_pending_counts_as_null() -> None:
    world = World()
    window = Client(world, "client").window(explicit=False)
    window.present("red")
    world.run_until_ms(20)
    image = window.image("blue")
    window.surface.pending.attached = image.buffer
    world.core.destroy_buffer(image.buffer, world.now_ns)
    window.commit()

    assert not window.toplevel.is_mapped


@pytest.mark.requirement("C17")
def test_frame_callbacks_of_one_surface_come_in_commit_order() -> None:
    world = World()
    window = Client(world, "client").window()
    notes = [window.present(name) for name in ("one", "two", "three")]
    world.run_until_ms(20)
    (done,) = world.told(FrameDone)
    assert list(done.callbacks) == notes


@pytest.mark.requirement("P12")
def test_a_bufferless_commit_does_not_discard_the_feedback_before_it() -> None:
    world = World()
    window = Client(world, "client").window()
    shown = window.present("red", gpu_ms=0)
    world.run_until_ms(1)
    bufferless = window.commit()
    world.run_until_ms(20)

    assert not world.told(Discarded)
    assert [what for what, _ in shown.heard] == [what for what, _ in bufferless.heard]


def test_a_new_cycle_keeps_what_persists_and_nothing_else() -> None:
    """Every field of the pending state is on one side of the line."""
    fresh, used = PendingState(), PendingState()
    names = list(PendingState.__struct_fields__)
    one_cycle = set(names[names.index("attached") :])
    for name in names:
        setattr(used, name, f"set {name}")

    after = used.successor()

    for name in names:
        expected = getattr(fresh, name) if name in one_cycle else f"set {name}"
        assert getattr(after, name) == expected, name
