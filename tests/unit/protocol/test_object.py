"""A class that does not fit its interface is refused when it is made, not when a message comes."""

import pytest

from syncline.protocol import schema
from syncline.protocol.display import Display
from syncline.protocol.errors import Misuse
from syncline.protocol.object import NewId, Proxy, Resource, method_name


def test_a_missing_method_is_named() -> None:
    with pytest.raises(TypeError, match=r"Region has no method 'add' for wl_region\.add"):

        class Region(Resource):
            interface = "wl_region"

            def destroy(self) -> None: ...

            def subtract(self, x: int, y: int, width: int, height: int) -> None: ...


def test_a_method_of_the_wrong_shape_is_told_the_right_one() -> None:
    with pytest.raises(TypeError, match=r"must take \(self, x, y, width, height\)"):

        class Region(Resource):
            interface = "wl_region"

            def destroy(self) -> None: ...

            def add(self, x: int, y: int) -> None: ...

            def subtract(self, x: int, y: int, width: int, height: int) -> None: ...


def test_messages_above_the_highest_version_implemented_need_no_method() -> None:
    class Shm(Resource):
        interface = "wl_shm"
        up_to = 1

        def create_pool(self, id: NewId, fd: object, size: int) -> None: ...

    assert Shm.handlers == (Shm.create_pool, None)


def test_an_event_is_handled_or_openly_ignored_never_both() -> None:
    class Pings(Proxy):
        interface = "xdg_wm_base"
        ignored = ("ping",)

    assert Pings.handlers == (None,)
    with pytest.raises(TypeError, match="both handles and ignores"):

        class Both(Proxy):
            interface = "xdg_wm_base"
            ignored = ("ping",)

            def ping(self, serial: int) -> None: ...


def test_ignoring_what_the_interface_does_not_have_is_a_mistake() -> None:
    with pytest.raises(TypeError, match=r"ignores \['pong'\], which xdg_wm_base does not have"):

        class Wrong(Proxy):
            interface = "xdg_wm_base"
            ignored = ("ping", "pong")


def test_a_class_says_up_to_its_whole_interface_unless_it_says_less() -> None:
    class Whole(Proxy):
        interface = "wl_compositor"

    assert Whole.up_to == schema.interface("wl_compositor").version


def test_only_messages_that_collide_get_another_method_name() -> None:
    collisions = {
        message.name
        for each in map(schema.interface, schema.interfaces())
        for message in each.requests + each.events
        if method_name(message.name) != message.name
    }
    assert collisions == {"global", "import", "finish", "send", "error", "id"}


def test_a_new_id_makes_one_object_of_its_own_interface() -> None:
    class Region(Proxy):
        interface = "wl_region"

    connection = Display.connect().connection
    new = connection.new_id("wl_region", 1)
    Region(new)

    with pytest.raises(Misuse, match="used new id wl_region#2"):
        Region(new)
    with pytest.raises(Misuse, match="new id wl_output#3"):
        Region(connection.new_id("wl_output", 1))
