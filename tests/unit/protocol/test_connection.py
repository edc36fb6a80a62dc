"""Ids, versions, destructors, errors: what both ends of a connection hold each other to."""

import struct
from collections.abc import Callable
from typing import Any

import pytest

from syncline.protocol.connection import Limits
from syncline.protocol.display import Callback, Global, Registry
from syncline.protocol.errors import Misuse
from syncline.protocol.fd import ReceivedFd
from syncline.protocol.object import NewId, Object, Proxy, Resource

INVALID_OBJECT, INVALID_METHOD, NO_MEMORY = 0, 1, 2


class ServedSurface(Resource):
    """A wl_surface that writes down what happens to it."""

    interface = "wl_surface"
    up_to = 6

    def __init__(self, new: NewId) -> None:
        super().__init__(new)
        self.log: list[object] = []
        self.frames: list[Callback] = []

    def destroy(self) -> None:
        self.log.append("destroy")

    def attach(self, buffer: Object | None, x: int, y: int) -> None:
        self.log.append(("attach", buffer, x, y))

    def damage(self, x: int, y: int, width: int, height: int) -> None:
        self.log.append(("damage", x, y, width, height))

    def frame(self, callback: NewId) -> None:
        self.frames.append(Callback(callback))

    def set_opaque_region(self, region: Object | None) -> None:
        self.log.append(("opaque", region))

    def set_input_region(self, region: Object | None) -> None: ...

    def commit(self) -> None:
        raise self.error(5, "nothing to commit")

    def set_buffer_transform(self, transform: int) -> None: ...

    def set_buffer_scale(self, scale: int) -> None:
        self.log.append(("scale", scale))

    def damage_buffer(self, x: int, y: int, width: int, height: int) -> None:
        raise ValueError("a bug of ours")

    def offset(self, x: int, y: int) -> None: ...

    def on_destroyed(self) -> None:
        self.log.append("destroyed")


class ServedRegion(Resource):
    interface = "wl_region"

    def destroy(self) -> None: ...

    def add(self, x: int, y: int, width: int, height: int) -> None: ...

    def subtract(self, x: int, y: int, width: int, height: int) -> None: ...


class ServedCompositor(Resource):
    interface = "wl_compositor"
    up_to = 6

    def create_surface(self, id: NewId) -> None:
        ServedSurface(id)

    def create_region(self, id: NewId) -> None:
        ServedRegion(id)


class ServedOffer(Resource):
    interface = "wl_data_offer"
    up_to = 3

    def accept(self, serial: int, mime_type: str | None) -> None: ...

    def receive(self, mime_type: str, fd: ReceivedFd) -> None: ...

    def destroy(self) -> None: ...

    def finish_(self) -> None: ...

    def set_actions(self, dnd_actions: int, preferred_action: int) -> None: ...


class ServedDevice(Resource):
    interface = "wl_data_device"
    up_to = 3

    def start_drag(self, source: Object | None, origin: Object, icon: Object | None, serial: int) -> None: ...

    def set_selection(self, source: Object | None, serial: int) -> None: ...

    def release(self) -> None: ...


class ServedDevices(Resource):
    interface = "wl_data_device_manager"
    up_to = 3

    def create_data_source(self, id: NewId) -> None: ...

    def get_data_device(self, id: NewId, seat: Object) -> None:
        ServedDevice(id)


class Surface(Proxy):
    interface = "wl_surface"
    ignored = ("leave", "preferred_buffer_scale", "preferred_buffer_transform")

    def __init__(self, new: NewId) -> None:
        super().__init__(new)
        self.log: list[object] = []

    def enter(self, output: Object | None) -> None:
        self.log.append(("enter", output))

    def on_destroyed(self) -> None:
        self.log.append("destroyed")


class Region(Proxy):
    interface = "wl_region"


class Compositor(Proxy):
    interface = "wl_compositor"


class Frame(Proxy):
    """Does not end itself on `done`: the server's delete_id does."""

    interface = "wl_callback"

    def __init__(self, new: NewId) -> None:
        super().__init__(new)
        self.log: list[object] = []

    def done(self, callback_data: int) -> None:
        self.log.append(callback_data)

    def on_destroyed(self) -> None:
        self.log.append("destroyed")


class Offer(Proxy):
    interface = "wl_data_offer"
    ignored = ("offer", "source_actions", "action")


class Device(Proxy):
    interface = "wl_data_device"
    ignored = ("enter", "leave", "motion", "drop")

    def __init__(self, new: NewId) -> None:
        super().__init__(new)
        self.offers: list[Offer] = []
        self.selected: list[Object | None] = []

    def data_offer(self, id: NewId) -> None:
        self.offers.append(Offer(id))

    def selection(self, offer: Object | None) -> None:
        self.selected.append(offer)


class Devices(Proxy):
    interface = "wl_data_device_manager"


class ServedSeat(Resource):
    interface = "wl_seat"
    up_to = 1

    def get_pointer(self, id: NewId) -> None: ...

    def get_keyboard(self, id: NewId) -> None: ...

    def get_touch(self, id: NewId) -> None: ...


class Seat(Proxy):
    interface = "wl_seat"
    ignored = ("capabilities", "name")


OFFERS = [
    Global("wl_compositor", 6, ServedCompositor),
    Global("wl_seat", 1, ServedSeat),
    Global("wl_data_device_manager", 3, ServedDevices),
]


def words(*numbers: int) -> bytes:
    return struct.pack(f"={len(numbers)}I", *numbers)


@pytest.fixture
def talk(converse: Callable[..., Any]) -> Any:
    return converse(OFFERS)


def surface_of(talk: Any, version: int = 6) -> tuple[Surface, ServedSurface]:
    """A client's new surface and the server's end of it."""
    surface = talk.registry.bind_first(Compositor, up_to=version).request_new("create_surface", Surface)
    talk.pump()
    return surface, talk.server.objects[surface.id]


def verdict(talk: Any) -> tuple[int, int]:
    """The object and code of the error that the server posted and the client heard."""
    talk.pump()
    ours, theirs = talk.server.error, talk.client.error
    assert (ours.object_id, ours.code, ours.text) == (theirs.object_id, theirs.code, theirs.text)
    return ours.object_id, ours.code


# Globals.


def test_a_registry_hears_what_is_offered_added_and_removed(talk: Any) -> None:
    assert talk.registry.globals == {
        1: ("wl_compositor", 6),
        2: ("wl_seat", 1),
        3: ("wl_data_device_manager", 3),
    }

    name = talk.globals_.add(Global("wl_region", 1, ServedRegion))
    talk.globals_.remove(2)
    talk.pump()

    assert name == 4
    assert sorted(talk.registry.globals) == [1, 3, 4]


def test_binding_a_global_while_it_goes_away_is_no_error(talk: Any) -> None:
    talk.globals_.remove(2)

    seat = talk.registry.bind_first(Seat)
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

    assert verdict(talk) == (talk.registry.id, INVALID_OBJECT)


def test_the_best_version_is_what_server_class_and_caller_all_have(talk: Any) -> None:
    assert talk.registry.bind_first(Compositor).version == 6
    assert talk.registry.bind_first(Compositor, up_to=4).version == 4
    with pytest.raises(KeyError, match="wl_region"):
        talk.registry.bind_first(Region)


def test_sync_answers_after_everything_before_it(talk: Any) -> None:
    heard: list[str] = []
    talk.display.sync(lambda _: heard.append("first"))
    second = talk.display.get_registry(Registry)
    talk.display.sync(lambda _: heard.append(f"{len(second.globals)} globals"))

    talk.pump()

    assert heard == ["first", "3 globals"]


# Messages.


def test_plain_numbers_arrive(talk: Any) -> None:
    surface, served = surface_of(talk)

    surface.send("damage", -1, 2, 3, 2**31 - 1)
    surface.send("set_buffer_scale", 2)
    talk.pump()

    assert served.log == [("damage", -1, 2, 3, 2**31 - 1), ("scale", 2)]


def test_objects_arrive_as_the_other_end_of_themselves(talk: Any) -> None:
    surface, served = surface_of(talk)
    region = talk.registry.bind_first(Compositor).request_new("create_region", Region)

    surface.send("set_opaque_region", region)
    surface.send("set_opaque_region", None)
    talk.pump()

    assert served.log == [("opaque", talk.server.objects[region.id]), ("opaque", None)]


def test_a_message_may_come_in_any_pieces(talk: Any) -> None:
    surface, served = surface_of(talk)
    surface.send("damage", 1, 2, 3, 4)
    surface.send("set_buffer_scale", 2)

    for data, _ in talk.client.take_output():
        for at in range(len(data)):
            talk.server.receive(data[at : at + 1])

    assert served.log == [("damage", 1, 2, 3, 4), ("scale", 2)]


def test_an_object_made_by_an_event_has_a_servers_id(talk: Any) -> None:
    device = talk.registry.bind_first(Devices).request_new(
        "get_data_device", Device, talk.registry.bind_first(Seat)
    )
    talk.pump()
    served = talk.server.objects[device.id]

    offer = served.send_new("data_offer", ServedOffer)
    served.send("selection", offer)
    talk.pump()

    assert offer.id == 0xFF000000
    assert device.offers == device.selected
    assert device.offers[0].id == offer.id


# Versions.


def test_a_request_newer_than_the_object_is_an_invalid_method(talk: Any) -> None:
    surface, _ = surface_of(talk, version=3)

    talk.client.send_raw(surface.id, 9, words(0, 0, 1, 1))  # damage_buffer, since 4

    assert verdict(talk) == (1, INVALID_METHOD)


def test_sending_what_the_version_does_not_have_is_our_mistake(talk: Any) -> None:
    surface, served = surface_of(talk, version=5)

    with pytest.raises(Misuse, match="wl_surface#4, at version 5, cannot say preferred_buffer_scale"):
        served.send("preferred_buffer_scale", 2)
    with pytest.raises(Misuse, match="cannot say get_release"):
        surface.send("get_release")


def test_children_have_their_parents_version_or_their_interfaces(talk: Any) -> None:
    surface, served = surface_of(talk, version=5)
    frame = surface.request_new("frame", Frame)
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


# Lives.


def test_a_destructor_ends_both_ends_and_gives_the_id_back(talk: Any) -> None:
    surface, served = surface_of(talk)

    surface.send("destroy")
    assert surface.log == ["destroyed"]
    assert not surface.alive
    talk.to_server()
    assert served.log == ["destroy", "destroyed"]
    before = talk.registry.bind_first(Compositor)
    talk.pump()
    after = talk.registry.bind_first(Compositor)

    assert before.id != surface.id, "not before delete_id"
    assert after.id == surface.id


def test_an_event_may_end_an_object_and_delete_id_then_ends_the_clients(talk: Any) -> None:
    surface, served = surface_of(talk)
    frame = surface.request_new("frame", Frame)
    talk.pump()

    served.frames[0].done(16)
    assert not served.frames[0].alive
    talk.pump()

    assert frame.log == [16, "destroyed"]
    assert frame.id not in talk.server.objects
    assert frame.id not in talk.client.objects


def test_events_to_what_the_client_has_destroyed_are_swallowed(talk: Any) -> None:
    surface, served = surface_of(talk)
    output = talk.registry.bind_first(Compositor)  # any object will do to be waited for
    served.send("preferred_buffer_scale", 2)
    surface.send("destroy")

    talk.to_client()
    talk.pump()

    assert surface.log == ["destroyed"]
    assert talk.client.error is None
    assert output.alive


def test_what_a_swallowed_event_makes_is_swallowed_too(talk: Any) -> None:
    device = talk.registry.bind_first(Devices).request_new(
        "get_data_device", Device, talk.registry.bind_first(Seat)
    )
    talk.pump()
    served = talk.server.objects[device.id]
    device.send("release")
    offer = served.send_new("data_offer", ServedOffer)
    offer.send("offer", "text/plain")
    served.send("selection", offer)

    talk.to_client()
    assert talk.client.error is None
    again = served.send_new("data_offer", ServedOffer)
    talk.pump()

    assert (offer.id, again.id) == (0xFF000000, 0xFF000001)
    assert talk.client.error is None


def test_a_servers_id_is_free_as_soon_as_its_object_ends(talk: Any) -> None:
    device = talk.registry.bind_first(Devices).request_new(
        "get_data_device", Device, talk.registry.bind_first(Seat)
    )
    talk.pump()
    served = talk.server.objects[device.id]
    first = served.send_new("data_offer", ServedOffer)
    talk.pump()
    device.offers[0].send("destroy")
    talk.pump()

    second = served.send_new("data_offer", ServedOffer)
    talk.pump()

    assert second.id == first.id
    assert [each.alive for each in device.offers] == [False, True]


def test_an_object_argument_that_the_client_just_destroyed_is_null(talk: Any) -> None:
    device = talk.registry.bind_first(Devices).request_new(
        "get_data_device", Device, talk.registry.bind_first(Seat)
    )
    talk.pump()
    served = talk.server.objects[device.id]
    offer = served.send_new("data_offer", ServedOffer)
    talk.pump()

    served.send("selection", offer)
    device.offers[0].send("destroy")
    talk.to_client()

    assert device.selected == [None]


def test_an_ended_object_says_nothing_more(talk: Any) -> None:
    surface, _served = surface_of(talk)
    surface.send("destroy")

    with pytest.raises(Misuse, match="which has ended, cannot say damage"):
        surface.send("damage", 0, 0, 1, 1)


def test_hanging_up_ends_every_object_in_order_of_ids(talk: Any) -> None:
    order: list[int] = []

    class Counted(ServedRegion):
        def on_destroyed(self) -> None:
            order.append(self.id)

    name = talk.globals_.add(Global("wl_region", 1, Counted))
    for _ in range(3):
        talk.registry.bind(name, Region, interface="wl_region", version=1)
    talk.pump()

    talk.server.hang_up()
    talk.server.hang_up()

    assert order == [3, 4, 5]
    assert talk.server.objects == {}


# Errors.


def test_a_handlers_error_reaches_the_client_as_it_was_raised(talk: Any) -> None:
    surface, served = surface_of(talk)
    surface.send("commit")
    surface.send("set_buffer_scale", 2)
    talk.pump()

    error = talk.client.error
    assert (error.interface, error.object_id, error.code) == ("wl_surface", surface.id, 5)
    assert error.text == "nothing to commit"
    assert served.log == [], "nothing after the error was dispatched"


def test_after_the_error_both_ends_fall_silent(talk: Any) -> None:
    surface, served = surface_of(talk)
    surface.send("commit")
    talk.pump()

    surface.send("damage", 0, 0, 1, 1)
    served.send("preferred_buffer_scale", 1)
    talk.server.receive(words(1, 12 << 16 | 1, 77))

    assert talk.client.take_output() == talk.server.take_output() == []
    assert talk.server.closing
    assert talk.client.closing


def test_an_error_on_an_object_that_the_client_no_longer_has_is_still_heard(talk: Any) -> None:
    surface, served = surface_of(talk)
    surface.send("destroy")
    talk.server.post_error(served.error(3, "too late"))

    talk.to_client()

    assert str(talk.client.error) == "wl_surface#4: error 3: too late"


def test_an_exception_of_ours_passes_through(talk: Any) -> None:
    surface, _ = surface_of(talk)
    surface.send("damage_buffer", 0, 0, 1, 1)

    with pytest.raises(ValueError, match="a bug of ours"):
        talk.to_server()


def test_a_handler_that_makes_nothing_of_a_new_id_is_our_mistake(talk: Any) -> None:
    talk.registry.bind_first(Devices).send("create_data_source", talk.client.new_id("wl_data_source", 3))

    with pytest.raises(Misuse, match="made nothing of new id wl_data_source"):
        talk.to_server()


def test_a_very_long_explanation_is_cut_on_a_character(talk: Any) -> None:
    talk.server.post_error(talk.server.objects[1].error(3, "ä" * 5000))
    talk.pump()

    assert talk.client.error.text == "ä" * 512


def test_too_many_objects_are_the_clients_error(converse: Callable[..., Any]) -> None:
    talk = converse(OFFERS, limits=Limits(objects=10))
    compositor = talk.registry.bind_first(Compositor)
    for _ in range(8):
        compositor.request_new("create_region", Region)

    assert verdict(talk) == (1, NO_MEMORY)


def test_an_event_to_nobody_is_an_error_at_the_client_too(talk: Any) -> None:
    talk.server.send_raw(77, 0, b"")
    talk.to_client()

    assert (talk.client.error.object_id, talk.client.error.code) == (1, INVALID_OBJECT)


def test_a_delete_id_for_nobody_is_an_error_at_the_client(talk: Any) -> None:
    talk.server.send_raw(1, 1, words(99))
    talk.to_client()

    assert talk.client.error.code == INVALID_OBJECT


# Mistakes of ours.


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
    surface, _ = surface_of(talk)

    with pytest.raises(Misuse):
        surface.send(message, *arguments)
    assert talk.client.take_output() == []


def test_an_object_of_another_kind_or_connection_is_our_mistake(
    talk: Any, converse: Callable[..., Any]
) -> None:
    surface, _ = surface_of(talk)
    elsewhere = converse(OFFERS).registry.bind_first(Compositor).request_new("create_region", Region)

    with pytest.raises(Misuse, match="wl_surface#4 is no wl_region"):
        surface.send("set_input_region", surface)
    with pytest.raises(Misuse, match="no living object of this connection"):
        surface.send("set_input_region", elsewhere)
