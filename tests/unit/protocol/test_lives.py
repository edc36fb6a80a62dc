"""When an object ends, who hears of it, and when its id may be used again."""

import struct
from typing import Any

import pytest

from syncline.protocol.display import Global
from syncline.protocol.errors import Misuse

INVALID_OBJECT, INVALID_METHOD, NO_MEMORY = 0, 1, 2


def words(*numbers: int) -> bytes:
    return struct.pack(f"={len(numbers)}I", *numbers)


def test_a_destructor_ends_both_ends_and_gives_the_id_back(talk: Any, kinds: Any) -> None:
    surface, served = talk.surface()

    surface.send("destroy")
    assert surface.log == ["destroyed"]
    assert not surface.alive
    talk.to_server()
    assert served.log == ["destroy", "destroyed"]
    before = talk.registry.bind_first(kinds.Compositor)
    talk.pump()
    after = talk.registry.bind_first(kinds.Compositor)

    assert before.id != surface.id, "not before delete_id"
    assert after.id == surface.id


def test_an_event_may_end_an_object_and_delete_id_then_ends_the_clients(talk: Any, kinds: Any) -> None:
    surface, served = talk.surface()
    frame = surface.request_new("frame", kinds.Frame)
    talk.pump()

    served.frames[0].done(16)
    assert not served.frames[0].alive
    talk.pump()

    assert frame.log == [16, "destroyed"]
    assert frame.id not in talk.server.objects
    assert frame.id not in talk.client.objects


def test_events_to_what_the_client_has_destroyed_are_swallowed(talk: Any, kinds: Any) -> None:
    surface, served = talk.surface()
    output = talk.registry.bind_first(kinds.Compositor)  # any object will do to be waited for
    served.send("preferred_buffer_scale", 2)
    surface.send("destroy")

    talk.to_client()
    talk.pump()

    assert surface.log == ["destroyed"]
    assert talk.client.error is None
    assert output.alive


def test_what_a_swallowed_event_makes_is_swallowed_too(talk: Any, kinds: Any) -> None:
    device, served = talk.device()
    device.send("release")
    offer = served.send_new("data_offer", kinds.ServedOffer)
    offer.send("offer", "text/plain")
    served.send("selection", offer)

    talk.to_client()
    assert talk.client.error is None
    again = served.send_new("data_offer", kinds.ServedOffer)
    talk.pump()

    assert (offer.id, again.id) == (0xFF000000, 0xFF000001)
    assert talk.client.error is None


def test_a_servers_id_is_free_as_soon_as_its_object_ends(talk: Any, kinds: Any) -> None:
    device, served = talk.device()
    first = served.send_new("data_offer", kinds.ServedOffer)
    talk.pump()
    device.offers[0].send("destroy")
    talk.pump()

    second = served.send_new("data_offer", kinds.ServedOffer)
    talk.pump()

    assert second.id == first.id
    assert [each.alive for each in device.offers] == [False, True]


def test_an_object_argument_that_the_client_just_destroyed_is_null(talk: Any, kinds: Any) -> None:
    device, served = talk.device()
    offer = served.send_new("data_offer", kinds.ServedOffer)
    talk.pump()

    served.send("selection", offer)
    device.offers[0].send("destroy")
    talk.to_client()

    assert device.selected == [None]


def test_an_ended_object_says_nothing_more(talk: Any) -> None:
    surface, _served = talk.surface()
    surface.send("destroy")

    with pytest.raises(Misuse, match="which has ended, cannot say damage"):
        surface.send("damage", 0, 0, 1, 1)


def test_hanging_up_ends_every_object_in_order_of_ids(talk: Any, kinds: Any) -> None:
    order: list[int] = []

    class Counted(kinds.ServedRegion):
        def on_destroyed(self) -> None:
            order.append(self.id)

    name = talk.globals_.add(Global("wl_region", 1, Counted))
    for _ in range(3):
        talk.registry.bind(name, kinds.Region, interface="wl_region", version=1)
    talk.pump()

    talk.server.hang_up()
    talk.server.hang_up()

    assert order == [3, 4, 5]
    assert talk.server.objects == {}
