"""What is offered, said and heard, at which version."""

import struct
from typing import Any

import pytest

from syncline.protocol.display import Global, Registry
from syncline.protocol.errors import Misuse
from syncline.protocol.object import Proxy

INVALID_OBJECT, INVALID_METHOD, NO_MEMORY = 0, 1, 2


def words(*numbers: int) -> bytes:
    return struct.pack(f"={len(numbers)}I", *numbers)


def test_a_registry_hears_what_is_offered_added_and_removed(talk: Any, kinds: Any) -> None:
    assert talk.registry.globals == {
        1: ("wl_compositor", 6),
        2: ("wl_seat", 1),
        3: ("wl_data_device_manager", 3),
    }

    name = talk.globals_.add(Global("wl_region", 1, kinds.ServedRegion))
    talk.globals_.remove(2)
    talk.pump()

    assert name == 4
    assert sorted(talk.registry.globals) == [1, 3, 4]


def test_a_registry_that_has_ended_hears_no_more(talk: Any, kinds: Any) -> None:
    talk.server.objects[talk.registry.id].finish()

    talk.globals_.add(Global("wl_region", 1, kinds.ServedRegion))
    talk.pump()

    assert 4 not in talk.registry.globals
    assert not talk.registry.alive


def test_binding_a_global_while_it_goes_away_is_no_error(talk: Any, kinds: Any) -> None:
    talk.globals_.remove(2)

    seat = talk.registry.bind_first(kinds.Seat)
    talk.pump()

    assert talk.server.objects[seat.id].interface == "wl_seat"
    assert talk.client.error is None


@pytest.mark.parametrize(
    ("name", "interface", "version"),
    [(99, "wl_seat", 1), (1, "wl_seat", 1), (2, "wl_seat", 2), (2, "wl_seat", 0)],
    ids=["no such name", "another interface", "too new", "version 0"],
)
def test_a_wrong_bind_is_an_error_on_the_registry(talk: Any, name: int, interface: str, version: int) -> None:
    talk.registry.send("bind", name, talk.client.new_id(interface, version))

    assert talk.verdict() == (talk.registry.id, INVALID_OBJECT)


def test_the_best_version_is_what_server_class_and_caller_all_have(talk: Any, kinds: Any) -> None:
    assert talk.registry.bind_first(kinds.Compositor).version == 6
    assert talk.registry.bind_first(kinds.Compositor, up_to=4).version == 4
    with pytest.raises(KeyError, match="wl_region"):
        talk.registry.bind_first(kinds.Region)


def test_sync_answers_after_everything_before_it(talk: Any) -> None:
    heard: list[str] = []
    talk.display.sync(lambda _: heard.append("first"))
    second = talk.display.get_registry(Registry)
    talk.display.sync(lambda _: heard.append(f"{len(second.globals)} globals"))

    talk.pump()

    assert heard == ["first", "3 globals"]


def test_plain_numbers_arrive(talk: Any) -> None:
    surface, served = talk.surface()

    surface.send("damage", -1, 2, 3, 2**31 - 1)
    surface.send("set_buffer_scale", 2)
    talk.pump()

    assert served.log == [("damage", -1, 2, 3, 2**31 - 1), ("scale", 2)]


def test_objects_arrive_as_the_other_end_of_themselves(talk: Any, kinds: Any) -> None:
    surface, served = talk.surface()
    region = talk.registry.bind_first(kinds.Compositor).request_new("create_region", kinds.Region)

    surface.send("set_opaque_region", region)
    surface.send("set_opaque_region", None)
    talk.pump()

    assert served.log == [("opaque", talk.server.objects[region.id]), ("opaque", None)]


def test_a_message_may_come_in_any_pieces(talk: Any) -> None:
    surface, served = talk.surface()
    surface.send("damage", 1, 2, 3, 4)
    surface.send("set_buffer_scale", 2)

    for data, _ in talk.client.take_output():
        for at in range(len(data)):
            talk.server.receive(data[at : at + 1])

    assert served.log == [("damage", 1, 2, 3, 4), ("scale", 2)]


def test_an_object_made_by_an_event_has_a_servers_id(talk: Any, kinds: Any) -> None:
    device, served = talk.device()

    offer = served.send_new("data_offer", kinds.ServedOffer)
    served.send("selection", offer)
    talk.pump()

    assert offer.id == 0xFF000000
    assert device.offers == device.selected
    assert device.offers[0].id == offer.id


def test_a_request_newer_than_the_object_is_an_invalid_method(talk: Any) -> None:
    surface, _ = talk.surface(version=3)

    talk.client.send_raw(surface.id, 9, words(0, 0, 1, 1))  # damage_buffer, since 4

    assert talk.verdict() == (1, INVALID_METHOD)


def test_sending_what_the_version_does_not_have_is_our_mistake(talk: Any) -> None:
    surface, served = talk.surface(version=5)

    with pytest.raises(Misuse, match="wl_surface#4, at version 5, cannot say preferred_buffer_scale"):
        served.send("preferred_buffer_scale", 2)
    with pytest.raises(Misuse, match="cannot say get_release"):
        surface.send("get_release")


def test_children_have_their_parents_version_or_their_interfaces(talk: Any, kinds: Any) -> None:
    surface, served = talk.surface(version=5)
    frame = surface.request_new("frame", kinds.Frame)
    talk.pump()

    assert (surface.version, served.version) == (5, 5)
    assert (frame.version, served.frames[0].version) == (1, 1)


def test_binding_above_what_a_class_implements_is_our_mistake(talk: Any) -> None:
    class OldSeat(Proxy):
        interface = "wl_seat"
        up_to = 4
        ignored = ("capabilities", "name")

    with pytest.raises(Misuse, match="OldSeat implements wl_seat up to 4, not 5"):
        talk.registry.bind(2, OldSeat, interface="wl_seat", version=5)
