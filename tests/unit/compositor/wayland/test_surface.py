"""wl_surface and wl_region: what is refused at once, what is refused at commit, what comes back."""

import pytest

from syncline.compositor.core.geometry import MAX_REGION_RECTS
from syncline.compositor.wayland.surface import MAX_DAMAGE_RECTS

INVALID_SCALE, INVALID_TRANSFORM, INVALID_SIZE, INVALID_OFFSET, DEFUNCT_ROLE_OBJECT, NO_BUFFER = range(6)


@pytest.mark.parametrize("scale", [0, -1])
def test_a_scale_below_one_is_invalid(client, scale) -> None:
    surface = client.surface()

    surface.send("set_buffer_scale", scale)

    client.expect("wl_surface", INVALID_SCALE, surface)


@pytest.mark.parametrize("transform", [-1, 8])
def test_a_transform_that_is_none_is_invalid(client, transform) -> None:
    surface = client.surface()

    surface.send("set_buffer_transform", transform)

    client.expect("wl_surface", INVALID_TRANSFORM, surface)


@pytest.mark.requirement("C20")
def test_a_buffer_that_its_scale_does_not_divide_is_invalid(client) -> None:
    window = client.toplevel()
    buffer, _ = client.shm_buffer(63, 64)

    window.surface.send("set_buffer_scale", 2)
    window.surface.send("attach", buffer, 0, 0)
    window.surface.send("commit")

    client.expect("wl_surface", INVALID_SIZE, window.surface)


@pytest.mark.requirement("C19")
def test_an_attach_offset_is_invalid_from_version_5_on(client) -> None:
    surface = client.surface()

    surface.send("attach", None, 1, 0)

    client.expect("wl_surface", INVALID_OFFSET, surface)


@pytest.mark.requirement("C19")
def test_an_attach_offset_is_an_offset_below_version_5(make_world) -> None:
    client = make_world({"wl_compositor": 4}).client()
    surface = client.surface()

    surface.send("attach", None, 1, 2)

    client.expect_no_error()


@pytest.mark.requirement("C21")
def test_a_surface_must_not_go_before_its_role_object(client) -> None:
    window = client.toplevel()

    window.surface.send("destroy")

    client.expect("wl_surface", DEFUNCT_ROLE_OBJECT, window.surface)


@pytest.mark.requirement("C15")
@pytest.mark.parametrize("attach", [False, True])
def test_get_release_needs_a_buffer(client, attach) -> None:
    surface = client.surface()

    client.make(surface, "get_release")
    if attach:
        surface.send("attach", None, 0, 0)
    surface.send("commit")

    client.expect("wl_surface", NO_BUFFER, surface)


@pytest.mark.requirement("C14")
def test_get_release_of_a_dmabuf_comes_once_when_it_was_replaced(client, world) -> None:
    window = client.toplevel()
    first, second = client.dmabuf(), client.dmabuf()

    window.surface.send("attach", first, 0, 0)
    released = client.make(window.surface, "get_release")
    window.surface.send("commit")
    world.run(50)
    assert released.events == []
    window.surface.send("attach", second, 0, 0)
    window.surface.send("commit")
    world.run(50)

    assert released.events == [("done", 0)]
    assert not released.alive


@pytest.mark.requirement("C14")
def test_get_release_of_shared_memory_comes_at_once(client) -> None:
    window = client.toplevel()
    buffer, _ = client.shm_buffer()

    window.surface.send("attach", buffer, 0, 0)
    released = client.make(window.surface, "get_release")
    window.surface.send("commit")
    client.roundtrip()

    assert released.events == [("done", 0)]


@pytest.mark.requirement("C17")
def test_frame_callbacks_come_in_the_order_of_commits(client, world) -> None:
    window = client.toplevel()
    buffer, _ = client.shm_buffer()
    window.surface.send("attach", buffer, 0, 0)
    first = client.make(window.surface, "frame")
    window.surface.send("commit")
    second = client.make(window.surface, "frame")
    third = client.make(window.surface, "frame")
    window.surface.send("commit")

    world.run(50)

    assert [obj for obj, name, *_ in client.story if name == "done"] == [first, second, third]


def test_callbacks_of_a_destroyed_surface_are_given_back(client, world) -> None:
    """A client that makes and drops surfaces for ever must not run out of objects."""
    window = client.toplevel()
    presentation = client.bind("wp_presentation")
    client.make(window.surface, "frame")
    window.surface.send("commit")  # without content nobody will call it
    last = [client.make(window.surface, each) for each in ("frame", "get_release")]
    feedback = client.make(presentation, "feedback", window.surface)
    for each in (window.toplevel, window.xdg, window.surface):
        each.send("destroy")
    client.roundtrip()

    kinds = [type(each).interface for each in client.connection.objects.values()]
    assert "wl_callback" not in kinds
    assert not any(each.events for each in last)
    assert feedback.events == [("discarded",)]


@pytest.mark.requirement("C8")
def test_a_replaced_attach_is_not_released(client) -> None:
    window = client.toplevel()
    unused, _ = client.shm_buffer()
    used, _ = client.shm_buffer()

    window.surface.send("attach", unused, 0, 0)
    window.surface.send("attach", used, 0, 0)
    window.surface.send("commit")
    client.roundtrip()

    assert unused.events == []
    assert used.events == [("release",)]


@pytest.mark.requirement("C11")
def test_a_buffer_destroyed_before_the_commit_counts_as_none(client) -> None:
    window = client.toplevel()
    buffer, _ = client.shm_buffer()

    window.surface.send("attach", buffer, 0, 0)
    buffer.send("destroy")
    window.surface.send("commit")

    client.expect_no_error()


def test_much_damage_in_one_cycle_is_held_as_little(client, world) -> None:
    surface = client.surface()
    for at in range(10 * MAX_DAMAGE_RECTS):
        surface.send("damage_buffer", at, at, 1, 1)
    client.roundtrip()

    (core_surface,) = world.driver.server._lines[0].session.surfaces
    assert len(core_surface.pending.buffer_damage) <= MAX_DAMAGE_RECTS


def test_regions_are_used_by_value(client) -> None:
    compositor = client.bind("wl_compositor")
    surface = client.make(compositor, "create_surface")
    region = client.make(compositor, "create_region")
    region.send("add", 0, 0, 100, 100)
    region.send("subtract", 10, 10, 10, 10)
    surface.send("set_opaque_region", region)
    surface.send("set_input_region", region)
    region.send("destroy")
    surface.send("set_input_region", None)
    surface.send("commit")

    client.expect_no_error()


@pytest.mark.parametrize("request_", ["add", "subtract"])
def test_a_region_of_too_many_pieces_is_only_known_roughly(client, world, request_) -> None:
    surface = client.surface()
    region = client.make(client.bind("wl_compositor"), "create_region")
    region.send("add", 0, 0, 10_000, 1)
    for at in range(2 * MAX_REGION_RECTS):
        region.send("subtract", 2 * at, 0, 1, 1)
    for at in range(2 * MAX_REGION_RECTS):
        region.send(request_, 2 * at, 10, 1, 1)
    surface.send("set_opaque_region", region)
    surface.send("set_input_region", region)
    client.roundtrip()

    (core_surface,) = world.driver.server._lines[0].session.surfaces
    assert core_surface.pending.opaque_region == ()
    assert len(core_surface.pending.input_region) <= MAX_REGION_RECTS + 1


def test_surfaces_outlive_the_compositor_object(client) -> None:
    compositor = client.bind("wl_compositor")
    surface = client.make(compositor, "create_surface")
    compositor.send("release")

    surface.send("commit")

    client.expect_no_error()


def test_a_window_enters_the_output_it_is_on(client, world) -> None:
    output = client.bind("wl_output")
    window = client.toplevel()
    buffer, _ = client.shm_buffer()
    window.surface.send("attach", buffer, 0, 0)
    window.surface.send("commit")
    world.run(50)

    assert window.surface.heard("enter") == [[output]]


def test_a_window_that_is_unmapped_leaves_its_output(client, world) -> None:
    output = client.bind("wl_output")
    window = client.toplevel()
    buffer, _ = client.shm_buffer()
    window.surface.send("attach", buffer, 0, 0)
    window.surface.send("commit")
    world.run(50)
    window.surface.send("attach", None, 0, 0)
    window.surface.send("commit")
    world.run(50)

    assert window.surface.heard("leave") == [[output]]


def test_an_output_bound_late_is_entered_late(client, world) -> None:
    window = client.toplevel()
    buffer, _ = client.shm_buffer()
    window.surface.send("attach", buffer, 0, 0)
    window.surface.send("commit")
    world.run(50)

    output = client.bind("wl_output")
    client.roundtrip()

    assert window.surface.heard("enter") == [[output]]


def test_the_preferred_scale_is_told_from_version_6_on(client, world) -> None:
    window = client.toplevel()
    buffer, _ = client.shm_buffer()
    window.surface.send("attach", buffer, 0, 0)
    window.surface.send("commit")
    world.run(50)

    assert window.surface.heard("preferred_buffer_scale") == [[1]]
    assert window.surface.heard("preferred_buffer_transform") == [[0]]
