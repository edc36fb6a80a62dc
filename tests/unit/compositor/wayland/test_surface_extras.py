"""Fractional scale and content type on the wire."""

import pytest

ONE_PER_SURFACE = [
    ("wp_fractional_scale_manager_v1", "get_fractional_scale", 0),
    ("wp_content_type_manager_v1", "get_surface_content_type", 0),
]


@pytest.mark.parametrize(("interface", "request_", "code"), ONE_PER_SURFACE)
def test_a_surface_has_one_object_of_each(client, interface, request_, code) -> None:
    manager, surface = client.bind(interface), client.surface()
    client.make(manager, request_, surface)

    client.make(manager, request_, surface)

    client.expect(interface, code, manager)


@pytest.mark.parametrize(("interface", "request_", "code"), ONE_PER_SURFACE)
def test_after_destruction_there_may_be_another(client, interface, request_, code) -> None:
    manager, surface = client.bind(interface), client.surface()
    client.make(manager, request_, surface).send("destroy")
    client.make(manager, request_, surface)
    manager.send("destroy")

    client.expect_no_error()


@pytest.mark.parametrize(("interface", "request_", "code"), ONE_PER_SURFACE)
def test_orphans_may_be_destroyed(client, interface, request_, code) -> None:
    manager, surface = client.bind(interface), client.surface()
    extra = client.make(manager, request_, surface)
    surface.send("destroy")
    extra.send("destroy")

    client.expect_no_error()


def test_the_preferred_scale_is_told_in_120ths(client) -> None:
    manager = client.bind("wp_fractional_scale_manager_v1")
    scale = client.make(manager, "get_fractional_scale", client.surface())
    client.roundtrip()

    assert scale.events == [("preferred_scale", 120)]


def test_hints_are_taken_also_by_orphans(client) -> None:
    surface = client.surface()
    content = client.make(client.bind("wp_content_type_manager_v1"), "get_surface_content_type", surface)
    for _ in range(2):
        content.send("set_content_type", 3)
        if surface.alive:
            surface.send("commit")
            surface.send("destroy")

    client.expect_no_error()
