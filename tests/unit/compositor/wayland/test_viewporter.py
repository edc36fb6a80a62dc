"""wp_viewporter: values judged when set, sizes judged when applied."""

import pytest

VIEWPORT_EXISTS = 0
BAD_VALUE, BAD_SIZE, OUT_OF_BUFFER, NO_SURFACE = range(4)


@pytest.fixture
def viewporter(client):
    return client.bind("wp_viewporter")


@pytest.mark.requirement("V1")
def test_a_surface_has_one_viewport(client, viewporter) -> None:
    surface = client.surface()
    client.make(viewporter, "get_viewport", surface)

    client.make(viewporter, "get_viewport", surface)

    client.expect("wp_viewporter", VIEWPORT_EXISTS, viewporter)


@pytest.mark.requirement("V1")
@pytest.mark.parametrize(
    "request_",
    [
        ("set_source", -1.0, 0.0, 8.0, 8.0),
        ("set_source", 0.0, -0.5, 8.0, 8.0),
        ("set_source", 0.0, 0.0, 0.0, 8.0),
        ("set_source", 0.0, 0.0, 8.0, -1.0),
        ("set_destination", 0, 8),
        ("set_destination", 8, -2),
    ],
)
def test_values_that_make_no_sense(client, viewporter, request_) -> None:
    viewport = client.make(viewporter, "get_viewport", client.surface())

    viewport.send(*request_)

    client.expect("wp_viewport", BAD_VALUE, viewport)


@pytest.mark.requirement("V3")
@pytest.mark.parametrize("request_", [("set_source", 0.0, 0.0, 1.0, 1.0), ("set_destination", 1, 1)])
def test_an_orphan_takes_nothing(client, viewporter, request_) -> None:
    surface = client.surface()
    viewport = client.make(viewporter, "get_viewport", surface)
    surface.send("destroy")

    viewport.send(*request_)

    client.expect("wp_viewport", NO_SURFACE, viewport)


@pytest.mark.requirement("V3")
def test_an_orphan_may_be_destroyed(client, viewporter) -> None:
    surface = client.surface()
    viewport = client.make(viewporter, "get_viewport", surface)
    surface.send("destroy")
    viewport.send("destroy")

    client.expect_no_error()


def shown(client, viewporter):
    window = client.toplevel()
    viewport = client.make(viewporter, "get_viewport", window.surface)
    buffer, _ = client.shm_buffer(64, 64)
    window.surface.send("attach", buffer, 0, 0)
    return window, viewport


@pytest.mark.requirement("V2")
def test_a_source_beyond_the_buffer_is_an_error_when_it_is_applied(client, world, viewporter) -> None:
    window, viewport = shown(client, viewporter)
    viewport.send("set_source", 0.0, 0.0, 65.0, 64.0)
    viewport.send("set_destination", 10, 10)
    client.expect_no_error()

    window.surface.send("commit")
    world.run(40)

    client.expect("wp_viewport", OUT_OF_BUFFER, viewport)


@pytest.mark.requirement("V2")
def test_a_broken_source_size_needs_a_destination(client, world, viewporter) -> None:
    window, viewport = shown(client, viewporter)
    viewport.send("set_source", 0.0, 0.0, 10.5, 10.0)

    window.surface.send("commit")
    world.run(40)

    client.expect("wp_viewport", BAD_SIZE, viewport)


def waiting_with_a_bad_source(client, viewporter):
    """An update that waits for an acquire point, and a source one pixel wider than its buffer."""
    manager = client.bind("wp_linux_drm_syncobj_manager_v1")
    window, viewport = shown(client, viewporter)
    sync = client.make(manager, "get_surface", window.surface)
    acquire, release = client.timeline(manager), client.timeline(manager)
    window.surface.send("attach", client.dmabuf(), 0, 0)
    sync.send("set_acquire_point", acquire.proxy, 1)
    sync.send("set_release_point", release.proxy, 1)
    viewport.send("set_source", 0.0, 0.0, 65.0, 64.0)
    viewport.send("set_destination", 10, 10)
    window.surface.send("commit")
    return viewport, acquire


@pytest.mark.requirement("V2")
def test_an_update_that_waits_is_judged_later(client, world, viewporter) -> None:
    viewport, acquire = waiting_with_a_bad_source(client, viewporter)
    world.run(40)
    client.expect_no_error()

    acquire.signal(1)
    world.run(40)

    client.expect("wp_viewport", OUT_OF_BUFFER, viewport)


@pytest.mark.requirement("V2")
def test_a_late_error_of_a_viewport_that_is_gone_names_the_display(client, world, viewporter) -> None:
    viewport, acquire = waiting_with_a_bad_source(client, viewporter)
    viewport.send("destroy")
    acquire.signal(1)
    world.run(40)

    client.expect("wl_display", 3)


@pytest.mark.requirement("V3")
def test_without_a_buffer_nothing_is_out_of_it(client, world, viewporter) -> None:
    surface = client.surface()
    viewport = client.make(viewporter, "get_viewport", surface)
    viewport.send("set_source", 0.0, 0.0, 1000.0, 1000.0)
    viewport.send("set_destination", 10, 10)
    surface.send("commit")
    world.run(40)

    client.expect_no_error()


def test_a_viewport_scales_what_is_shown(client, world, viewporter, photograph) -> None:
    window = client.toplevel()
    viewport = client.make(viewporter, "get_viewport", window.surface)
    pixel = client.make(
        client.bind("wp_single_pixel_buffer_manager_v1"), "create_u32_rgba_buffer", 0, 2**32 - 1, 0, 2**32 - 1
    )
    window.surface.send("attach", pixel, 0, 0)
    viewport.send("set_destination", 30, 20)
    window.surface.send("commit")
    world.run(50)

    assert sum(row.count(0xFF00FF00) for row in photograph()) == 600


def test_a_destroyed_viewport_is_unset_with_the_next_commit(client, world, viewporter) -> None:
    window, viewport = shown(client, viewporter)
    viewport.send("set_destination", 30, 20)
    window.surface.send("commit")
    viewport.send("destroy")
    window.surface.send("commit")
    world.run(40)

    client.expect_no_error()
    client.make(viewporter, "get_viewport", window.surface)
    client.expect_no_error()
