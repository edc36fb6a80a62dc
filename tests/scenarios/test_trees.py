"""Sub-surfaces: what is synchronized is applied together or not at all."""

import pytest
from world import MS, Client, Picture, World

from syncline.compositor.core.state import Place


def subsurface(client: Client, parent: Picture, *, size: int = 40) -> Picture:
    child = Picture(client, client.surface(), size, size, explicit=True)
    client.world.core.subsurfaces.make(child.surface, parent.surface)
    return child


@pytest.mark.requirement("C5")
def test_parent_and_synchronized_child_appear_together_once_both_are_ready() -> None:
    world = World()
    client = Client(world, "client")
    window = client.window()
    child = subsurface(client, window)
    child.present("child", gpu_ms=None)
    window.present("parent", gpu_ms=1)
    world.run_until_ms(60)
    assert not world.presented_ms()

    child.render(child.image("child"), MS)
    world.run_until_ms(100)

    assert world.presented_ms(window) == world.presented_ms(child) == [66.7]


@pytest.mark.requirement("C3")
def test_a_childs_commit_after_its_parents_waits_for_the_next_one() -> None:
    world = World()
    client = Client(world, "client")
    window = client.window()
    child = subsurface(client, window)
    window.present("parent")
    child.present("child")
    world.run_until_ms(50)
    assert not world.presented_ms(child)

    window.commit()
    world.run_until_ms(90)
    assert world.presented_ms(child) == [66.7]


@pytest.mark.requirement("C6")
def test_going_desynchronized_sets_cached_updates_free() -> None:
    world = World()
    client = Client(world, "client")
    window = client.window()
    child = subsurface(client, window)
    window.present("parent")
    world.run_until_ms(20)
    child.present("child")
    world.run_until_ms(50)
    assert not world.presented_ms(child)

    world.core.subsurfaces.set_synchronized(child.surface, synchronized=False, now_ns=world.now_ns)
    world.run_until_ms(90)

    assert world.presented_ms(child) == [66.7]


@pytest.mark.requirement("U2")
def test_a_desynchronized_grandchild_of_a_synchronized_child_is_cached() -> None:
    world = World()
    client = Client(world, "client")
    window = client.window()
    child = subsurface(client, window)
    grandchild = subsurface(client, child, size=20)
    world.core.subsurfaces.set_synchronized(grandchild.surface, synchronized=False, now_ns=world.now_ns)
    grandchild.present("grandchild")
    child.present("child")
    world.run_until_ms(40)
    assert not world.presented_ms()

    window.present("parent")
    world.run_until_ms(70)

    assert world.presented_ms(grandchild) == world.presented_ms(child) == world.presented_ms(window)
    assert len(world.presented_ms(window)) == 1


@pytest.mark.requirement("S61")
def test_an_unready_desynchronized_child_does_not_hold_its_parent_back() -> None:
    world = World()
    client = Client(world, "client")
    window = client.window()
    child = subsurface(client, window)
    world.core.subsurfaces.set_synchronized(child.surface, synchronized=False, now_ns=world.now_ns)
    child.present("never", gpu_ms=None)
    window.present("parent")
    world.run_until_ms(40)

    assert world.presented_ms(window) == [16.7]


@pytest.mark.requirement("U4")
def test_a_destroyed_subsurface_is_gone_at_once_and_its_points_are_reached() -> None:
    world = World()
    client = Client(world, "client")
    window = client.window()
    child = subsurface(client, window)
    child.present("child")
    window.present("parent")
    world.run_until_ms(20)
    child.present("cached", gpu_ms=None)

    world.core.subsurfaces.destroy(child.surface, world.now_ns)
    world.core.destroy_surface(child.surface, world.now_ns)
    world.settle()

    assert child.image("child").released() == child.image("cached").released() == 1
    assert window.surface.current.stack == (Place(0), Place(child.surface.number))
    world.run_until_ms(60)
    assert not child.surface.shown_on


@pytest.mark.requirement("S80")
def test_a_parent_that_waits_for_a_destroyed_child_waits_no_more() -> None:
    world = World()
    client = Client(world, "client")
    window = client.window()
    child = subsurface(client, window)
    child.present("never", gpu_ms=None)
    window.present("parent")
    world.run_until_ms(50)
    assert not world.presented_ms(window)

    world.core.destroy_surface(child.surface, world.now_ns)
    world.settle()
    world.run_until_ms(80)

    assert world.presented_ms(window) == [66.7]
