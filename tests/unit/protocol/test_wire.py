"""The Wayland wire, byte for byte."""

import struct
import sys

import pytest

from syncline.protocol.errors import Misuse
from syncline.protocol.schema import interface
from syncline.protocol.wire import Malformed
from syncline.protocol.wire.wayland import MESSAGE_BYTES_MAX, WaylandWire


def words(*numbers: int) -> bytes:
    return struct.pack(f"={len(numbers)}I", *numbers)


def header(object_id: int, size: int, opcode: int) -> bytes:
    return words(object_id, size << 16 | opcode)


REQUESTS = [
    # message                                    object  values                              bytes
    ("wl_surface.commit",                        7,  (),                                 header(7, 8, 6)),
    ("wl_surface.damage",                        7,  (-1, 2, 3, 4),                      header(7, 24, 2) + words(0xFFFFFFFF, 2, 3, 4)),
    ("wl_surface.attach",                        7,  (0, 0, 0),                          header(7, 20, 1) + words(0, 0, 0)),
    ("wl_compositor.create_surface",             4,  (9,),                               header(4, 12, 0) + words(9)),
    ("wl_shm.create_pool",                       5,  (6, 4096),                          header(5, 16, 0) + words(6, 4096)),
    ("xdg_toplevel.set_title",                   8,  ("abc",),                           header(8, 16, 2) + words(4) + b"abc\0"),
    ("xdg_toplevel.set_title",                   8,  ("abcd",),                          header(8, 20, 2) + words(5) + b"abcd\0\0\0\0"),
    ("xdg_toplevel.set_title",                   8,  ("",),                              header(8, 16, 2) + words(1) + b"\0\0\0\0"),
    ("xdg_toplevel.set_title",                   8,  ("ä",),                             header(8, 16, 2) + words(3) + b"\xc3\xa4\0\0"),
    ("wl_data_offer.accept",                     3,  (1, None),                          header(3, 16, 0) + words(1, 0)),
    ("wl_registry.bind",                         2,  (1, ("wl_shm", 2, 3)),              header(2, 32, 0) + words(1, 7) + b"wl_shm\0\0" + words(2, 3)),
    ("wp_viewport.set_source",                   6,  (0.5, -0.5, 1, 1.00390625),         header(6, 24, 1) + words(0x80, 0xFFFFFF80, 0x100, 0x101)),
    ("wp_linux_drm_syncobj_surface_v1.set_acquire_point", 9, (4, 0x1_0000_0002),         header(9, 20, 1) + words(4, 1, 2)),
    ("xwayland_surface_v1.set_serial",           9,  (0x1_0000_0002,),                   header(9, 16, 0) + words(2, 1)),
]  # fmt: skip

EVENTS = [
    ("wl_keyboard.enter",                        5,  (1, 7, b"\x01\x02\x03\x04\x05"),    header(5, 28, 1) + words(1, 7, 5) + b"\x01\x02\x03\x04\x05\0\0\0"),
    ("xdg_toplevel.configure",                   8,  (0, 0, b""),                        header(8, 20, 0) + words(0, 0, 0)),
    ("wl_display.error",                         1,  (7, 5, "no"),                       header(1, 24, 0) + words(7, 5, 3) + b"no\0\0"),
    ("wp_presentation_feedback.presented",       6,  (2**32, 5, 16, 3, 1),               header(6, 36, 1) + words(1, 0, 5, 16, 0, 3, 1)),
]  # fmt: skip


def message_of(name: str, *, is_event: bool) -> object:
    interface_name, _, message = name.partition(".")
    table = interface(interface_name)
    return table.event(message) if is_event else table.request(message)


@pytest.mark.parametrize(
    ("name", "object_id", "values", "data", "is_event"),
    [(*row, False) for row in REQUESTS] + [(*row, True) for row in EVENTS],
)
def test_a_message_is_these_bytes_and_these_bytes_are_that_message(
    name: str, object_id: int, values: tuple[object, ...], data: bytes, is_event: bool
) -> None:
    wire = WaylandWire()
    message = message_of(name, is_event=is_event)

    assert wire.encoder(message)(object_id, values) == data
    ((heard_by, opcode, body),) = wire.frames(data)
    assert (heard_by, opcode) == (object_id, message.opcode)
    assert tuple(wire.decoder(message)(body)) == values


MALFORMED = [
    # request                  body                                                       because
    ("wl_surface.damage",      words(1, 2, 3),                                            "short"),
    ("xdg_toplevel.set_title", b"",                                                       "short"),
    ("xdg_toplevel.set_title", words(0),                                                  "null string where none may be"),
    ("xdg_toplevel.set_title", words(4) + b"abcd",                                        "without its NUL"),
    ("xdg_toplevel.set_title", words(8) + b"abc\0efg\0",                                  "a NUL inside"),
    ("xdg_toplevel.set_title", words(9) + b"abcdefg\0",                                   "longer than its message"),
    ("xdg_toplevel.set_title", words(0xFFFFFFFF) + b"abc\0",                              "longer than its message"),
    ("xdg_toplevel.set_title", words(0xFFFFFFFD) + b"abc\0",                              "longer than its message"),
    ("xdg_toplevel.set_title", words(2) + b"a\0",                                         "longer than its message"),
    ("xdg_toplevel.set_title", words(3) + b"\xff\xff\0\0",                                "not UTF-8"),
    ("xdg_toplevel.set_title", words(4) + b"\xed\xa0\x80\0",                              "not UTF-8"),
    ("wl_registry.bind",       words(1, 0, 2, 3),                                         "null string where none may be"),
    ("wl_registry.bind",       words(1, 7) + b"wl_shm\0\0" + words(2),                    "short"),
    ("wp_linux_drm_syncobj_surface_v1.set_acquire_point", words(4, 1),                    "short"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "body", "because"), MALFORMED)
def test_a_body_that_is_not_its_message_is_refused(name: str, body: bytes, because: str) -> None:
    wire = WaylandWire()

    with pytest.raises(wire.refusals) as refusal:
        wire.decoder(message_of(name, is_event=False))(body)
    if isinstance(refusal.value, Malformed):
        assert because in str(refusal.value)
    else:
        assert because == "short"


@pytest.mark.parametrize("size", [0, 4, 7, 9, 13, 4097, 4100, MESSAGE_BYTES_MAX])
def test_an_impossible_length_is_refused_before_the_message_has_come(size: int) -> None:
    with pytest.raises(Malformed, match=f"message length {size}"):
        list(WaylandWire().frames(header(1, size, 0)))


def test_a_longer_buffer_takes_longer_messages() -> None:
    body = bytes(MESSAGE_BYTES_MAX - 8)
    wire = WaylandWire(message_bytes=MESSAGE_BYTES_MAX)

    assert list(wire.frames(wire.frame(7, 1, body))) == [(7, 1, body)]


def test_bytes_behind_the_last_argument_are_ignored_as_libwayland_does() -> None:
    sync = interface("wl_display").request("sync")

    assert tuple(WaylandWire().decoder(sync)(words(2, 99))) == (2,)


def test_messages_may_come_in_any_pieces() -> None:
    wire = WaylandWire()
    data = wire.frame(1, 0, words(2)) + wire.frame(3, 1, b"") + wire.frame(4, 2, words(5, 6))

    frames = [frame for at in range(0, len(data), 3) for frame in wire.frames(data[at : at + 3])]

    assert frames == [(1, 0, words(2)), (3, 1, b""), (4, 2, words(5, 6))]


MISFITS = [
    ("wl_surface.damage", (1, 2, 3)),
    ("wl_surface.damage", (1, 2, 3, 2**31)),
    ("wl_surface.damage", (1, 2, 3, 1.5)),
    ("wl_surface.frame", (-1,)),
    ("xdg_toplevel.set_title", (None,)),
    ("xdg_toplevel.set_title", (b"bytes",)),
    ("xdg_toplevel.set_title", ("a\0b",)),
    ("xdg_toplevel.set_title", ("\ud800",)),
    ("xdg_toplevel.set_title", ("x" * MESSAGE_BYTES_MAX,)),
    ("xdg_toplevel.set_title", ()),
    ("wp_viewport.set_source", (2.0**23, 0, 0, 0)),
    ("wp_viewport.set_source", (float("nan"), 0, 0, 0)),
    ("wp_viewport.set_source", (float("inf"), 0, 0, 0)),
    ("wp_viewport.set_source", ("1", 0, 0, 0)),
    ("wp_linux_drm_syncobj_surface_v1.set_acquire_point", (4, 2**64)),
    ("wp_linux_drm_syncobj_surface_v1.set_acquire_point", (4, -1)),
]


@pytest.mark.parametrize(("name", "values"), MISFITS)
def test_values_that_do_not_fit_are_our_mistake(name: str, values: tuple[object, ...]) -> None:
    with pytest.raises(Misuse):
        WaylandWire.encoder(message_of(name, is_event=False))(7, values)


def test_fixed_numbers_are_rounded_to_the_nearest_256th() -> None:
    set_source = interface("wp_viewport").request("set_source")
    wire = WaylandWire()
    data = wire.encoder(set_source)(7, (2 / 3, -2 / 3, 2.0**23 - 1 / 256, -(2.0**23)))

    assert wire.decoder(set_source)(data[8:]) == [171 / 256, -171 / 256, 2.0**23 - 1 / 256, -(2.0**23)]


def test_the_byte_order_is_the_machines_own() -> None:
    assert WaylandWire().frame(1, 2, b"") == (1).to_bytes(4, sys.byteorder) + (8 << 16 | 2).to_bytes(
        4, sys.byteorder
    )
