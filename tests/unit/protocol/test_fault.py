"""Whose fault it was, who is told, and that nothing happens after it."""

import struct
from collections.abc import Callable
from typing import Any

import pytest

from syncline.protocol.connection import Limits
from syncline.protocol.errors import Misuse

INVALID_OBJECT, INVALID_METHOD, NO_MEMORY = 0, 1, 2


def words(*numbers: int) -> bytes:
    return struct.pack(f"={len(numbers)}I", *numbers)


def test_a_handlers_error_reaches_the_client_as_it_was_raised(talk: Any) -> None:
    surface, served = talk.surface()
    surface.send("commit")
    surface.send("set_buffer_scale", 2)
    talk.pump()

    error = talk.client.error
    assert (error.interface, error.object_id, error.code) == ("wl_surface", surface.id, 5)
    assert error.text == "nothing to commit"
    assert served.log == [], "nothing after the error was dispatched"


def test_after_the_error_both_ends_fall_silent(talk: Any) -> None:
    surface, served = talk.surface()
    surface.send("commit")
    talk.pump()

    surface.send("damage", 0, 0, 1, 1)
    served.send("preferred_buffer_scale", 1)
    talk.server.receive(words(1, 12 << 16 | 1, 77))

    assert talk.client.take_output() == talk.server.take_output() == []
    assert talk.server.closing
    assert talk.client.closing


def test_an_error_on_an_object_that_the_client_no_longer_has_is_still_heard(talk: Any) -> None:
    surface, served = talk.surface()
    surface.send("destroy")
    talk.server.post_error(served.error(3, "too late"))

    talk.to_client()

    assert str(talk.client.error) == "wl_surface#4: error 3: too late"


def test_an_exception_of_ours_passes_through(talk: Any) -> None:
    surface, _ = talk.surface()
    surface.send("damage_buffer", 0, 0, 1, 1)

    with pytest.raises(ValueError, match="a bug of ours"):
        talk.to_server()


def test_a_handler_that_makes_nothing_of_a_new_id_is_our_mistake(talk: Any, kinds: Any) -> None:
    talk.registry.bind_first(kinds.Seat).send("get_pointer", talk.client.new_id("wl_pointer", 1))

    with pytest.raises(Misuse, match="made nothing of new id wl_pointer"):
        talk.to_server()


def test_a_very_long_explanation_is_cut_on_a_character(talk: Any) -> None:
    talk.server.post_error(talk.server.objects[1].error(3, "ä" * 5000))
    talk.pump()

    assert talk.client.error.text == "ä" * 512


def test_too_many_objects_are_the_clients_error(converse: Callable[..., Any], kinds: Any) -> None:
    talk = converse(kinds.OFFERS, limits=Limits(objects=10))
    compositor = talk.registry.bind_first(kinds.Compositor)
    for _ in range(8):
        compositor.request_new("create_region", kinds.Region)

    assert talk.verdict() == (1, NO_MEMORY)


def test_an_event_to_nobody_is_an_error_at_the_client_too(talk: Any) -> None:
    talk.server.send_raw(77, 0, b"")
    talk.to_client()

    assert (talk.client.error.object_id, talk.client.error.code) == (1, INVALID_OBJECT)


@pytest.mark.parametrize("seat", [0, 2, 99], ids=["null", "another kind", "nobody"])
def test_an_object_argument_that_is_not_one_of_its_kind_is_an_error(talk: Any, kinds: Any, seat: int) -> None:
    manager = talk.registry.bind_first(kinds.Devices)
    new = talk.client.new_id("wl_data_device", 3)

    talk.client.send_raw(manager.id, 1, words(new.id, seat))

    assert talk.verdict() == (1, INVALID_METHOD)


def test_a_delete_id_for_nobody_is_an_error_at_the_client(talk: Any) -> None:
    talk.server.send_raw(1, 1, words(99))
    talk.to_client()

    assert talk.client.error.code == INVALID_OBJECT


def test_a_delete_id_of_a_servers_own_id_is_an_error_at_the_client(talk: Any, kinds: Any) -> None:
    device, served = talk.device()
    served.send_new("data_offer", kinds.ServedOffer)
    talk.pump()
    device.offers[0].send("destroy")

    talk.server.send_raw(1, 1, words(0xFF000000))
    talk.to_client()

    assert talk.client.error.code == INVALID_OBJECT


@pytest.mark.parametrize(
    ("message", "arguments"),
    [
        ("damage", (1, 2, 3)),
        ("damage", (1, 2, 3, 2**31)),
        ("damage", (1, 2, 3, "4")),
        ("attach", (77, 0, 0)),
        ("set_input_region", ()),
        ("frame", (None,)),
        ("configure", ()),
    ],
)
def test_arguments_that_do_not_fit_are_our_mistake(
    talk: Any, message: str, arguments: tuple[object, ...]
) -> None:
    surface, _ = talk.surface()

    with pytest.raises(Misuse):
        surface.send(message, *arguments)
    assert talk.client.take_output() == []


def test_an_object_of_another_kind_or_connection_is_our_mistake(
    talk: Any, converse: Callable[..., Any], kinds: Any
) -> None:
    surface, _ = talk.surface()
    gone = talk.registry.bind_first(kinds.Compositor).request_new("create_region", kinds.Region)
    gone.send("destroy")
    elsewhere = (
        converse(kinds.OFFERS)
        .registry.bind_first(kinds.Compositor)
        .request_new("create_region", kinds.Region)
    )

    with pytest.raises(Misuse, match="wl_surface#4 is no wl_region"):
        surface.send("set_input_region", surface)
    with pytest.raises(Misuse, match="no living object of this connection"):
        surface.send("set_input_region", elsewhere)
    with pytest.raises(Misuse, match="no living object of this connection"):
        surface.send("set_input_region", gone)


def test_nothing_behind_an_error_in_the_same_bytes_is_dispatched(talk: Any, kinds: Any) -> None:
    surface, served = talk.surface()
    frame = surface.request_new("frame", kinds.Frame)
    talk.pump()
    talk.server.post_error(served.error(3, "over"))
    talk.server.send_raw(frame.id, 0, words(16))

    talk.to_client()

    assert talk.client.error.text == "over"
    assert frame.log == []


def test_a_handler_that_hangs_up_is_the_last_to_hear_anything(talk: Any) -> None:
    surface, served = talk.surface()
    served.on_scale = talk.server.hang_up
    surface.send("set_buffer_scale", 2)
    surface.send("set_buffer_scale", 3)

    talk.to_server()

    assert served.log == [("scale", 2), "destroyed"]
