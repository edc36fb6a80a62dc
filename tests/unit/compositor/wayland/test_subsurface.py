"""wl_subcompositor and wl_subsurface: errors on the right object, and objects that outlive their surfaces."""

import pytest

BAD_SURFACE, BAD_PARENT = range(2)


@pytest.fixture
def subcompositor(client):
    return client.bind("wl_subcompositor")


@pytest.fixture
def family(client, subcompositor):
    """(parent, child, the child's wl_subsurface)"""
    parent, child = client.surface(), client.surface()
    return parent, child, client.make(subcompositor, "get_subsurface", child, parent)


def test_a_surface_is_a_subsurface_of_one_parent(client, subcompositor, family) -> None:
    parent, child, _ = family

    client.make(subcompositor, "get_subsurface", child, parent)

    client.expect("wl_subcompositor", BAD_SURFACE, subcompositor)


def test_a_window_is_no_subsurface(client, subcompositor) -> None:
    window, parent = client.toplevel(), client.surface()

    client.make(subcompositor, "get_subsurface", window.surface, parent)

    client.expect("wl_subcompositor", BAD_SURFACE, subcompositor)


def test_a_surface_is_not_its_own_parent(client, subcompositor) -> None:
    surface = client.surface()

    client.make(subcompositor, "get_subsurface", surface, surface)

    client.roundtrip()
    assert client.error in {("wl_subcompositor", BAD_SURFACE), ("wl_subcompositor", BAD_PARENT)}


def test_a_child_is_not_its_parents_parent(client, subcompositor, family) -> None:
    parent, child, _ = family

    client.make(subcompositor, "get_subsurface", parent, child)

    client.expect("wl_subcompositor", BAD_PARENT, subcompositor)


@pytest.mark.requirement("U8")
@pytest.mark.parametrize("request_", ["place_above", "place_below"])
def test_only_siblings_and_the_parent_have_places(client, family, request_) -> None:
    _, _, subsurface = family

    subsurface.send(request_, client.surface())

    client.expect("wl_subsurface", BAD_SURFACE, subsurface)


@pytest.mark.requirement("U8")
def test_places_among_siblings_and_the_parent(client, subcompositor, family) -> None:
    parent, child, subsurface = family
    sibling = client.surface()
    client.make(subcompositor, "get_subsurface", sibling, parent)

    subsurface.send("place_above", sibling)
    subsurface.send("place_below", parent)
    subsurface.send("place_above", parent)
    subsurface.send("set_position", -5, 7)
    subsurface.send("set_desync")
    subsurface.send("set_sync")
    child.send("commit")
    parent.send("commit")

    client.expect_no_error()


@pytest.mark.requirement("U6")
@pytest.mark.parametrize("first", ["child", "parent"])
def test_a_subsurface_outlives_its_surfaces_harmlessly(client, family, first) -> None:
    parent, child, subsurface = family
    if first == "child":
        subsurface.send("destroy")
        child.send("destroy")
        parent.send("destroy")
    else:
        parent.send("destroy")
        subsurface.send("set_position", 1, 1)
        subsurface.send("set_desync")
        child.send("commit")
        subsurface.send("destroy")
        child.send("destroy")

    client.expect_no_error()


@pytest.mark.requirement("U1")
def test_a_child_is_shown_with_its_parents_commit(client, world, subcompositor, photograph) -> None:
    window = client.toplevel()
    black, _ = client.shm_buffer(32, 32, 0xFF000000)
    window.surface.send("attach", black, 0, 0)
    window.surface.send("commit")
    child = client.surface()
    client.make(subcompositor, "get_subsurface", child, window.surface)
    white, _ = client.shm_buffer(8, 8, 0xFFFFFFFF)
    child.send("attach", white, 0, 0)
    child.send("commit")
    world.run(50)
    assert not any(0xFFFFFFFF in row for row in photograph())

    window.surface.send("commit")
    world.run(50)

    assert sum(row.count(0xFFFFFFFF) for row in photograph()) == 64


def test_a_child_whose_parent_went_has_its_object_still(client, subcompositor, family) -> None:
    parent, child, _ = family
    parent.send("destroy")

    client.make(subcompositor, "get_subsurface", child, client.surface())

    client.roundtrip()
    assert client.error in {None, ("wl_subcompositor", BAD_SURFACE)}


def test_a_child_may_be_given_to_another_parent(client, subcompositor, family) -> None:
    _, child, subsurface = family
    subsurface.send("destroy")

    client.make(subcompositor, "get_subsurface", child, client.surface())

    client.expect_no_error()


def test_a_surface_that_goes_before_its_subsurface_object(client, family) -> None:
    _, child, subsurface = family

    child.send("destroy")
    subsurface.send("place_above", client.surface())
    subsurface.send("set_position", 1, 1)
    subsurface.send("set_sync")
    subsurface.send("destroy")

    client.expect_no_error()
