"""wl_seat, its devices without devices, and the clipboard."""

import mmap
import os

import pytest


@pytest.fixture
def seat(client):
    return client.bind("wl_seat")


def shown(client, world):
    window = client.toplevel()
    buffer, _ = client.shm_buffer(200, 200)
    window.surface.send("attach", buffer, 0, 0)
    window.surface.send("commit")
    world.run(50)
    return window


def test_the_seat_has_pointer_and_keyboard_from_the_start(client, seat) -> None:
    client.roundtrip()

    assert seat.events == [("capabilities", 3), ("name", "seat0")]


def test_there_never_was_touch(client, seat) -> None:
    client.make(seat, "get_touch")

    client.expect("wl_seat", 0, seat)


@pytest.mark.parametrize(("version", "map_flags"), [(6, mmap.MAP_SHARED), (9, mmap.MAP_PRIVATE)])
def test_the_keymap_can_be_mapped_as_each_version_does(client, version, map_flags) -> None:
    keyboard = client.make(client.bind("wl_seat", version), "get_keyboard")
    client.roundtrip()
    format, fd, size = keyboard.last("keymap")

    with mmap.mmap(fd, size, map_flags, mmap.PROT_READ) as text:
        assert text[:10] == b"xkb_keymap"
        assert text[-1:] == b"\0"
    assert format == 1
    assert keyboard.last("repeat_info") == [25, 400]


def test_a_client_cannot_change_the_keymap_of_others(client) -> None:
    keyboard = client.make(client.bind("wl_seat"), "get_keyboard")
    client.roundtrip()
    _, fd, _ = keyboard.last("keymap")

    with pytest.raises(PermissionError):
        os.pwrite(fd, b"x", 0)


def test_a_window_that_appears_gets_the_keyboard(client, world, seat) -> None:
    keyboard = client.make(seat, "get_keyboard")
    window = shown(client, world)

    assert [name for name, *_ in keyboard.events][-2:] == ["enter", "modifiers"]
    assert keyboard.last("enter")[1:] == [window.surface, b""]


def test_a_keyboard_made_late_enters_late(client, world, seat) -> None:
    window = shown(client, world)

    keyboard = client.make(seat, "get_keyboard")
    client.roundtrip()

    assert keyboard.last("enter")[1] is window.surface


def test_the_keyboard_goes_on_when_its_window_goes(client, world, seat) -> None:
    keyboard = client.make(seat, "get_keyboard")
    first = shown(client, world)
    second = shown(client, world)
    for each in (second.toplevel, second.xdg, second.surface):
        each.send("destroy")
    world.run(50)

    assert keyboard.last("enter")[1] is first.surface


def test_the_pointer_enters_moves_and_presses(client, world, seat) -> None:
    pointer = client.make(seat, "get_pointer")
    window = shown(client, world)
    output = world.core.outputs[0]
    center = output.rect.width // 2, output.rect.height // 2

    def at(x, y):
        world.core.seat.move_pointer(x=x, y=y, now_ns=world.loop.now_ns())
        world.driver.server.settle()
        client.roundtrip()

    at(*center)
    at(center[0] + 1, center[1] + 2)
    world.core.seat.press(button=0x110, pressed=True, now_ns=world.loop.now_ns())
    world.driver.server.settle()
    client.roundtrip()
    at(0, 0)

    names = [name for name, *_ in pointer.events]
    assert names == ["enter", "frame", "motion", "frame", "button", "frame", "leave", "frame"]
    assert pointer.last("enter")[1] is window.surface
    assert pointer.last("button")[2:] == [0x110, 1]


def test_a_surface_with_a_role_is_no_cursor(client, world, seat) -> None:
    pointer = client.make(seat, "get_pointer")
    window = shown(client, world)
    output = world.core.outputs[0]
    world.core.seat.move_pointer(
        x=output.rect.width // 2, y=output.rect.height // 2, now_ns=world.loop.now_ns()
    )
    world.driver.server.settle()
    client.roundtrip()

    pointer.send("set_cursor", pointer.last("enter")[0], window.surface, 0, 0)

    client.expect("wl_pointer", 0, pointer)


def test_devices_may_be_released(client, seat) -> None:
    for request in ("get_pointer", "get_keyboard"):
        client.make(seat, request).send("release")
    seat.send("release")

    client.expect_no_error()


# -- the clipboard --------------------------------------------------------------------------------


def device(client):
    return client.make(client.bind("wl_data_device_manager"), "get_data_device", client.bind("wl_seat"))


def source(client, *types):
    made = client.make(client.bind("wl_data_device_manager"), "create_data_source")
    for each in types:
        made.send("offer", each)
    return made


def test_what_one_client_copies_another_pastes(client, world) -> None:
    shown(client, world)
    copied = source(client, "text/plain", "text/html")
    device(client).send("set_selection", copied, 1)
    client.roundtrip()
    other = world.client()
    pasting = device(other)
    shown(other, world)

    (offer,) = pasting.last("selection")
    assert offer.heard("offer") == [["text/plain"], ["text/html"]]
    reader, writer = os.pipe()
    offer.send("receive", "text/plain", writer)
    os.close(writer)
    other.roundtrip()
    client.roundtrip()
    mime_type, fd = copied.last("send")
    os.write(fd, b"pasted")
    assert mime_type == "text/plain"
    assert os.read(reader, 100) == b"pasted"
    os.close(reader)


def test_a_new_selection_cancels_the_old_one(client, world) -> None:
    shown(client, world)
    data = device(client)
    first, second = source(client, "a/a"), source(client, "b/b")
    data.send("set_selection", first, 1)
    data.send("set_selection", second, 2)
    client.roundtrip()

    assert first.events == [("cancelled",)]
    assert second.events == []


def test_only_who_has_the_keyboard_may_copy(client, world) -> None:
    shown(client, world)
    other = world.client()
    rejected = source(other, "a/a")
    device(other).send("set_selection", rejected, 1)
    other.roundtrip()

    assert rejected.events == [("cancelled",)]


def test_when_the_source_goes_there_is_nothing_to_paste(client, world) -> None:
    shown(client, world)
    data = device(client)
    copied = source(client, "a/a")
    data.send("set_selection", copied, 1)
    copied.send("destroy")
    client.roundtrip()

    assert data.last("selection") == [None]


def test_pasting_from_a_client_that_has_gone_gets_nothing(client, world) -> None:
    shown(client, world)
    device(client).send("set_selection", source(client, "a/a"), 1)
    client.roundtrip()
    other = world.client()
    pasting = device(other)
    shown(other, world)
    offer = next(offer for (offer,) in pasting.heard("selection") if offer)
    client.hang_up()
    world.run(10)
    reader, writer = os.pipe()

    offer.send("receive", "a/a", writer)
    os.close(writer)
    other.expect_no_error()

    assert os.read(reader, 1) == b""
    assert pasting.last("selection") == [None]
    os.close(reader)


@pytest.mark.parametrize("request_", ["set_selection", "start_drag"])
def test_a_source_is_used_once(client, world, request_) -> None:
    window = shown(client, world)
    data = device(client)
    copied = source(client, "a/a")
    data.send("set_selection", copied, 1)

    if request_ == "set_selection":
        data.send("set_selection", copied, 2)
    else:
        data.send("start_drag", copied, window.surface, None, 2)

    client.expect("wl_data_device", 1, data)


def test_a_source_for_drags_is_no_selection(client, world) -> None:
    dragged = source(client, "a/a")
    dragged.send("set_actions", 1)

    device(client).send("set_selection", dragged, 1)

    client.expect("wl_data_source", 1, dragged)


def test_an_action_that_is_none_is_an_error(client) -> None:
    dragged = source(client)

    dragged.send("set_actions", 8)

    client.expect("wl_data_source", 0, dragged)


def test_a_drag_without_a_pressed_button_is_cancelled(client, world) -> None:
    window = shown(client, world)
    dragged = source(client, "a/a")
    dragged.send("set_actions", 1)
    device(client).send("start_drag", dragged, window.surface, client.surface(), 1)
    client.roundtrip()

    assert dragged.events == [("cancelled",)]


def test_a_window_is_no_drag_icon(client, world) -> None:
    window = shown(client, world)
    data = device(client)

    data.send("start_drag", None, window.surface, window.surface, 1)

    client.expect("wl_data_device", 0, data)


@pytest.mark.parametrize(("request_", "code"), [(("finish",), 0), (("set_actions", 1, 1), 3)])
def test_a_selection_is_no_drag(client, world, request_, code) -> None:
    shown(client, world)
    data = device(client)
    data.send("set_selection", source(client, "a/a"), 1)
    client.roundtrip()
    (offer,) = data.last("selection")

    offer.send(*request_)

    client.expect("wl_data_offer", code, offer)


def test_a_source_of_endless_types_is_the_clients_error(client) -> None:
    made = source(client, *(f"type/{number}" for number in range(257)))

    client.expect("wl_display", 2)
    assert made
