"""xdg-shell on the wire: roles, the configure round, and all that may go wrong on the way."""

from struct import unpack

import pytest

NOT_CONSTRUCTED, ALREADY_CONSTRUCTED, UNCONFIGURED_BUFFER, INVALID_SERIAL, INVALID_SIZE, DEFUNCT_ROLE = range(
    1, 7
)
ROLE, DEFUNCT_SURFACES, NOT_TOPMOST, INVALID_PARENT, INVALID_STATE, INVALID_POSITIONER, _ = range(7)


@pytest.fixture
def base(client):
    return client.bind("xdg_wm_base")


def states(toplevel) -> list[int]:
    data = toplevel.last("configure")[2]
    return list(unpack(f"={len(data) // 4}I", data))


def positioner(client, base, *, size=(50, 40), anchor=(0, 0, 10, 10)):
    made = client.make(base, "create_positioner")
    made.send("set_size", *size)
    made.send("set_anchor_rect", *anchor)
    return made


def shown(client, world, base):
    """A window with content on the screen."""
    window = client.toplevel(base)
    buffer, _ = client.shm_buffer(200, 200)
    window.surface.send("attach", buffer, 0, 0)
    window.surface.send("commit")
    world.run(40)
    return window


def popup(client, base, parent):
    surface = client.surface()
    xdg = client.make(base, "get_xdg_surface", surface)
    made = client.make(xdg, "get_popup", parent.xdg if parent else None, positioner(client, base))
    return surface, xdg, made


# -- xdg_wm_base ----------------------------------------------------------------------------------


def test_a_surface_has_one_xdg_surface(client, base) -> None:
    surface = client.surface()
    client.make(base, "get_xdg_surface", surface)

    client.make(base, "get_xdg_surface", surface)

    client.expect("xdg_wm_base", ROLE, base)


def test_a_subsurface_cannot_be_a_window(client, base) -> None:
    parent, child = client.surface(), client.surface()
    client.make(client.bind("wl_subcompositor"), "get_subsurface", child, parent)

    xdg = client.make(base, "get_xdg_surface", child)
    client.make(xdg, "get_toplevel")

    client.expect("xdg_wm_base", ROLE, base)


def test_a_surface_with_content_cannot_become_a_window(client, base) -> None:
    surface = client.surface()
    buffer, _ = client.shm_buffer()
    surface.send("attach", buffer, 0, 0)
    surface.send("commit")

    client.make(base, "get_xdg_surface", surface)

    client.roundtrip()
    assert client.error in {("xdg_wm_base", INVALID_STATE), ("xdg_surface", UNCONFIGURED_BUFFER)}


def test_the_base_must_not_go_before_its_surfaces(client, base) -> None:
    client.make(base, "get_xdg_surface", client.surface())

    base.send("destroy")

    client.expect("xdg_wm_base", DEFUNCT_SURFACES, base)


def test_the_base_may_go_after_its_surfaces(client, base) -> None:
    xdg = client.make(base, "get_xdg_surface", client.surface())
    xdg.send("destroy")

    base.send("destroy")

    client.expect_no_error()


@pytest.mark.requirement("X5")
def test_a_ping_that_is_not_answered_only_marks_the_client(client, world, base) -> None:
    client.toplevel(base)
    client.roundtrip()
    session = world.driver.server._lines[0].session
    assert len(base.heard("ping")) == 1

    world.run(11_000)
    assert session.pulse.is_unresponsive
    client.expect_no_error()

    base.send("pong", *base.last("ping"))
    client.roundtrip()
    assert not session.pulse.is_unresponsive


# -- xdg_surface ----------------------------------------------------------------------------------


@pytest.mark.requirement("X1")
def test_the_configure_round(client, base) -> None:
    surface = client.surface()
    xdg = client.make(base, "get_xdg_surface", surface)
    toplevel = client.make(xdg, "get_toplevel")
    client.roundtrip()
    assert xdg.events == []

    surface.send("commit")
    client.roundtrip()

    names = [name for obj, name, *_ in client.story if obj in (xdg, toplevel)]
    assert names == ["wm_capabilities", "configure_bounds", "configure", "configure"]


@pytest.mark.requirement("X1")
def test_a_buffer_before_the_configure_is_an_error(client, base) -> None:
    surface = client.surface()
    xdg = client.make(base, "get_xdg_surface", surface)
    client.make(xdg, "get_toplevel")
    buffer, _ = client.shm_buffer()

    surface.send("attach", buffer, 0, 0)
    surface.send("commit")

    client.expect("xdg_surface", UNCONFIGURED_BUFFER, xdg)


@pytest.mark.requirement("X1")
def test_a_buffer_before_the_ack_is_an_error(client, base) -> None:
    surface = client.surface()
    xdg = client.make(base, "get_xdg_surface", surface)
    client.make(xdg, "get_toplevel")
    surface.send("commit")
    client.roundtrip()
    buffer, _ = client.shm_buffer()

    surface.send("attach", buffer, 0, 0)
    surface.send("commit")

    client.expect("xdg_surface", UNCONFIGURED_BUFFER, xdg)


def test_without_a_role_object_there_is_nothing_to_commit(client, base) -> None:
    surface = client.surface()
    xdg = client.make(base, "get_xdg_surface", surface)

    surface.send("commit")

    client.expect("xdg_surface", NOT_CONSTRUCTED, xdg)


@pytest.mark.parametrize("request_", [("ack_configure", 1), ("set_window_geometry", 0, 0, 10, 10)])
def test_without_a_role_object_there_is_nothing_to_say(client, base, request_) -> None:
    xdg = client.make(base, "get_xdg_surface", client.surface())

    xdg.send(*request_)

    client.expect("xdg_surface", NOT_CONSTRUCTED, xdg)


def test_a_second_role_object_is_an_error(client, base) -> None:
    xdg = client.make(base, "get_xdg_surface", client.surface())
    client.make(xdg, "get_toplevel")

    client.make(xdg, "get_toplevel")

    client.expect("xdg_surface", ALREADY_CONSTRUCTED, xdg)


@pytest.mark.requirement("X3")
def test_a_serial_that_was_never_sent_is_an_error(client, base) -> None:
    window = client.toplevel(base)

    window.xdg.send("ack_configure", 0x7FFFFFFF)

    client.expect("xdg_surface", INVALID_SERIAL, window.xdg)


@pytest.mark.requirement("X3")
def test_a_serial_is_acked_once(client, base) -> None:
    window = client.toplevel(base)

    window.xdg.send("ack_configure", *window.xdg.last("configure"))

    client.expect("xdg_surface", INVALID_SERIAL, window.xdg)


@pytest.mark.parametrize("size", [(0, 10), (10, 0), (-5, 10)])
def test_a_window_geometry_needs_a_size(client, base, size) -> None:
    window = client.toplevel(base)

    window.xdg.send("set_window_geometry", 0, 0, *size)

    client.expect("xdg_surface", INVALID_SIZE, window.xdg)


def test_the_xdg_surface_must_not_go_before_its_role_object(client, base) -> None:
    window = client.toplevel(base)

    window.xdg.send("destroy")

    client.expect("xdg_surface", DEFUNCT_ROLE, window.xdg)


def test_everything_may_go_in_the_right_order(client, world, base) -> None:
    window = shown(client, world, base)

    for each in (window.toplevel, window.xdg, window.surface, base):
        each.send("destroy")

    client.expect_no_error()


@pytest.mark.requirement("X6")
def test_after_unmapping_a_window_is_configured_anew(client, world, base) -> None:
    window = shown(client, world, base)
    window.surface.send("attach", None, 0, 0)
    window.surface.send("commit")
    world.run(40)
    heard = len(window.xdg.heard("configure"))

    window.surface.send("commit")
    client.roundtrip()

    assert len(window.xdg.heard("configure")) == heard + 1


@pytest.mark.requirement("X6")
def test_a_buffer_after_unmapping_needs_the_round_again(client, world, base) -> None:
    window = shown(client, world, base)
    window.surface.send("attach", None, 0, 0)
    window.surface.send("commit")
    world.run(40)
    buffer, _ = client.shm_buffer()

    window.surface.send("attach", buffer, 0, 0)
    window.surface.send("commit")

    client.expect("xdg_surface", UNCONFIGURED_BUFFER, window.xdg)


# -- xdg_toplevel ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("on", "off", "state"),
    [("set_maximized", "unset_maximized", 1), ("set_fullscreen", "unset_fullscreen", 2)],
)
def test_a_window_is_told_its_new_state_and_size(client, world, base, on, off, state) -> None:
    window = shown(client, world, base)

    window.toplevel.send(on, *([None] if on == "set_fullscreen" else []))
    world.run(40)
    assert state in states(window.toplevel)
    assert window.toplevel.last("configure")[0] > 200

    window.toplevel.send(off)
    world.run(40)
    assert state not in states(window.toplevel)


def test_old_clients_hear_only_of_states_they_know(client, world) -> None:
    window = shown(client, world, client.bind("xdg_wm_base", 1))
    window.toplevel.send("set_minimized")
    world.run(100)

    assert all(state <= 4 for state in states(window.toplevel))
    assert not window.toplevel.heard("wm_capabilities")
    assert not window.toplevel.heard("configure_bounds")


@pytest.mark.requirement("X4")
def test_a_minimised_window_is_told_that_it_is_suspended(client, world, base) -> None:
    window = shown(client, world, base)

    window.toplevel.send("set_minimized")
    world.run(100)

    assert 9 in states(window.toplevel)


@pytest.mark.parametrize("request_", ["set_min_size", "set_max_size"])
def test_a_size_limit_is_not_negative(client, base, request_) -> None:
    window = client.toplevel(base)

    window.toplevel.send(request_, -1, 0)
    window.surface.send("commit")

    client.expect("xdg_toplevel", 2, window.toplevel)


def test_the_smallest_size_is_not_above_the_largest(client, base) -> None:
    window = client.toplevel(base)

    window.toplevel.send("set_max_size", 100, 100)
    window.toplevel.send("set_min_size", 101, 100)
    window.surface.send("commit")

    client.expect("xdg_toplevel", 2, window.toplevel)


def test_a_window_is_not_its_own_ancestor(client, base) -> None:
    first, second = client.toplevel(base), client.toplevel(base)
    second.toplevel.send("set_parent", first.toplevel)

    first.toplevel.send("set_parent", second.toplevel)

    client.expect("xdg_toplevel", 1, first.toplevel)


def test_an_edge_that_is_none_is_an_error(client, base) -> None:
    window = client.toplevel(base)

    window.toplevel.send("resize", client.bind("wl_seat"), 1, 3)

    client.expect("xdg_toplevel", 0, window.toplevel)


def test_all_that_needs_a_user_is_taken_quietly(client, base) -> None:
    window, seat = client.toplevel(base), client.bind("wl_seat")

    window.toplevel.send("set_title", "a title")
    window.toplevel.send("set_app_id", "org.example.Test")
    window.toplevel.send("move", seat, 1)
    window.toplevel.send("resize", seat, 1, 10)
    window.toplevel.send("show_window_menu", seat, 1, 0, 0)
    window.toplevel.send("set_parent", None)

    client.expect_no_error()


# -- xdg_popup and xdg_positioner -----------------------------------------------------------------


@pytest.mark.parametrize(
    "request_",
    [
        ("set_size", 0, 10),
        ("set_size", 10, -1),
        ("set_anchor_rect", 0, 0, -1, 10),
        ("set_anchor", 9),
        ("set_gravity", 9),
    ],
)
def test_a_rule_that_is_none_is_an_error(client, base, request_) -> None:
    made = client.make(base, "create_positioner")

    made.send(*request_)

    client.expect("xdg_positioner", 0, made)


@pytest.mark.parametrize("missing", ["size", "anchor"])
def test_an_incomplete_positioner_places_nothing(client, world, base, missing) -> None:
    parent = shown(client, world, base)
    made = client.make(base, "create_positioner")
    if missing == "anchor":
        made.send("set_size", 10, 10)
    else:
        made.send("set_anchor_rect", 0, 0, 1, 1)
    xdg = client.make(base, "get_xdg_surface", client.surface())

    client.make(xdg, "get_popup", parent.xdg, made)

    client.expect("xdg_wm_base", INVALID_POSITIONER, base)


def test_a_popup_is_told_where_it_is(client, world, base) -> None:
    parent = shown(client, world, base)
    surface = client.surface()
    xdg = client.make(base, "get_xdg_surface", surface)
    rules = positioner(client, base, size=(50, 40), anchor=(10, 20, 30, 40))
    rules.send("set_anchor", 8)  # bottom right
    rules.send("set_gravity", 8)
    rules.send("set_offset", 1, 2)
    made = client.make(xdg, "get_popup", parent.xdg, rules)

    surface.send("commit")
    client.roundtrip()

    assert made.last("configure") == [10 + 30 + 1, 20 + 40 + 2, 50, 40]
    assert xdg.heard("configure")


def test_a_popup_that_is_moved_hears_its_token_first(client, world, base) -> None:
    parent = shown(client, world, base)
    surface, _, made = popup(client, base, parent)
    surface.send("commit")
    client.roundtrip()

    made.send("reposition", positioner(client, base, size=(60, 70)), 4711)
    client.roundtrip()

    assert [name for name, *_ in made.events][-2:] == ["repositioned", "configure"]
    assert made.last("repositioned") == [4711]
    assert made.last("configure")[2:] == [60, 70]


def test_popups_go_topmost_first(client, world, base) -> None:
    parent = shown(client, world, base)
    surfaces = []
    for _ in range(2):
        surface, xdg, made = popup(client, base, parent)
        surface.send("commit")
        client.roundtrip()
        xdg.send("ack_configure", *xdg.last("configure"))
        buffer, _ = client.shm_buffer(50, 40)
        surface.send("attach", buffer, 0, 0)
        surface.send("commit")
        world.run(40)
        surfaces.append(made)
        parent.xdg = xdg

    surfaces[0].send("destroy")

    client.expect("xdg_wm_base", NOT_TOPMOST, base)


def test_a_popup_needs_a_parent_before_its_first_commit(client, base) -> None:
    surface, _, _ = popup(client, base, None)

    surface.send("commit")

    client.expect("xdg_wm_base", INVALID_PARENT, base)


def test_a_grab_after_the_popup_was_mapped_is_an_error(client, world, base) -> None:
    parent = shown(client, world, base)
    surface, xdg, made = popup(client, base, parent)
    surface.send("commit")
    client.roundtrip()
    xdg.send("ack_configure", *xdg.last("configure"))
    buffer, _ = client.shm_buffer(50, 40)
    surface.send("attach", buffer, 0, 0)
    surface.send("commit")
    world.run(40)

    made.send("grab", client.bind("wl_seat"), 1)

    client.expect("xdg_popup", 0, made)


# -- zxdg_decoration ------------------------------------------------------------------------------


@pytest.fixture
def decorations(client):
    return client.bind("zxdg_decoration_manager_v1")


def test_the_server_decorates_whatever_was_asked_for(client, base, decorations) -> None:
    window = client.toplevel(base)
    decoration = client.make(decorations, "get_toplevel_decoration", window.toplevel)
    decoration.send("set_mode", 1)
    decoration.send("unset_mode")
    client.roundtrip()

    assert decoration.heard("configure")
    assert all(mode == [2] for mode in decoration.heard("configure"))


def test_a_window_on_screen_is_configured_for_its_decoration(client, world, base, decorations) -> None:
    window = shown(client, world, base)
    heard = len(window.xdg.heard("configure"))
    decoration = client.make(decorations, "get_toplevel_decoration", window.toplevel)
    client.roundtrip()

    assert [name for obj, name, *_ in client.story if obj in (decoration, window.xdg)][-2:] == [
        "configure"
    ] * 2
    assert len(window.xdg.heard("configure")) == heard + 1


def test_a_window_has_one_decoration(client, base, decorations) -> None:
    window = client.toplevel(base)
    client.make(decorations, "get_toplevel_decoration", window.toplevel)

    client.make(decorations, "get_toplevel_decoration", window.toplevel)

    client.roundtrip()
    assert client.error == ("zxdg_toplevel_decoration_v1", 1)


def test_a_decoration_must_go_before_its_window(client, base, decorations) -> None:
    window = client.toplevel(base)
    decoration = client.make(decorations, "get_toplevel_decoration", window.toplevel)

    window.toplevel.send("destroy")

    client.expect("zxdg_toplevel_decoration_v1", 2, decoration)


def test_a_mode_that_is_none_is_an_error(client, base, decorations) -> None:
    window = client.toplevel(base)
    decoration = client.make(decorations, "get_toplevel_decoration", window.toplevel)

    decoration.send("set_mode", 3)

    client.expect("zxdg_toplevel_decoration_v1", 3, decoration)


def test_a_dismissed_popup_keeps_its_role_object(client, world, base) -> None:
    parent = shown(client, world, base)
    surface, xdg, made = popup(client, base, parent)
    surface.send("commit")
    client.roundtrip()
    parent.toplevel.send("destroy")
    client.roundtrip()
    assert made.heard("popup_done")

    client.make(xdg, "get_toplevel")

    client.roundtrip()
    assert client.error in {
        ("xdg_surface", ALREADY_CONSTRUCTED),
        ("xdg_wm_base", ROLE),
        ("xdg_wm_base", NOT_TOPMOST),
    }


def test_a_window_may_be_made_again_on_the_same_surface(client, base) -> None:
    window = client.toplevel(base)
    window.toplevel.send("destroy")
    toplevel = client.make(window.xdg, "get_toplevel")
    window.surface.send("commit")
    client.expect_no_error()
    assert toplevel.heard("configure")

    toplevel.send("destroy")
    window.xdg.send("destroy")
    xdg = client.make(base, "get_xdg_surface", window.surface)
    client.make(xdg, "get_toplevel")
    client.expect_no_error()
