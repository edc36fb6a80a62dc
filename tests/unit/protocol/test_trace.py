"""One line per message, in the words of WAYLAND_DEBUG."""

import pytest

from syncline.protocol.display import Display
from syncline.protocol.object import NewId
from syncline.protocol.schema import Message, interface
from syncline.protocol.trace import Said, line


def request(name: str) -> Message:
    interface_name, _, message = name.partition(".")
    return interface(interface_name).request(message)


CONNECTION = Display.connect().connection
DISPLAY = CONNECTION.objects[1]


def new(interface_name: str, version: int = 1) -> NewId:
    return NewId(CONNECTION, id=9, interface=interface_name, version=version)


LINES = [
    ("wl_surface.damage", (-1, 0, 3, 4), "damage(-1, 0, 3, 4)"),
    ("wl_surface.commit", (), "commit()"),
    ("wl_surface.attach", (None, 0, 0), "attach(nil, 0, 0)"),
    ("wl_surface.frame", (new("wl_callback"),), "frame(new id wl_callback#9)"),
    ("wl_registry.bind", (1, new("wl_shm", 2)), 'bind(1, "wl_shm", 2, new id [unknown]#9)'),
    ("wl_shm.create_pool", (new("wl_shm_pool"), 5, 64), "create_pool(new id wl_shm_pool#9, fd 5, 64)"),
    ("xdg_toplevel.set_title", ('a "b"',), 'set_title("a "b"")'),
    ("wl_data_offer.accept", (1, None), "accept(1, nil)"),
    (
        "wp_viewport.set_source",
        (0.5, -1, 2, 1 / 256),
        "set_source(0.50000000, -1.00000000, 2.00000000, 0.00390625)",
    ),
    ("wl_fixes.destroy_registry", (DISPLAY,), "destroy_registry(wl_display#1)"),
]


@pytest.mark.parametrize(("name", "arguments", "words"), LINES)
def test_arguments_read_as_libwayland_prints_them(
    name: str, arguments: tuple[object, ...], words: str
) -> None:
    said = Said("", 7, request(name), arguments, incoming=True)

    assert line(said, 1_234_567_890) == f"[    1.234567] {name.partition('.')[0]}#7.{words}"


def test_an_array_is_told_by_its_size() -> None:
    said = Said("", 7, interface("xdg_toplevel").event("configure"), (0, 0, b"1234"), incoming=True)

    assert line(said, 0).endswith("configure(0, 0, array[4])")


def test_a_line_says_where_it_went_and_who_heard_it() -> None:
    commit = request("wl_surface.commit")

    assert (
        line(Said("foot", 7, commit, (), incoming=False), 0)
        == "[    0.000000] {foot}  -> wl_surface#7.commit()"
    )
    discarded = Said("foot", 7, commit, (), incoming=True, discarded=True)
    assert line(discarded, 0) == "[    0.000000] {foot} discarded wl_surface#7.commit()"


def test_what_is_left_of_a_discarded_message_is_numbers() -> None:
    leave = interface("wl_keyboard").event("leave")
    said = Said("", 7, leave, (1, 4), incoming=True, discarded=True)

    assert line(said, 0).endswith("wl_keyboard#7.leave(1, wl_surface#4)")
