"""The MessagePack wire, byte for byte."""

import msgspec
import pytest
from msgspec.msgpack import Ext

from syncline.protocol.connection import Connection
from syncline.protocol.display import Display, Globals, serve
from syncline.protocol.errors import Misuse
from syncline.protocol.schema import interface
from syncline.protocol.wire import Malformed
from syncline.protocol.wire.msgpack import MsgpackWire, tokens_in, with_tokens

BLANK = Ext(1, bytes(16))


def pack(*messages: object) -> bytes:
    return b"".join(msgspec.msgpack.encode(each) for each in messages)


MESSAGES = [
    # message                                    object  values                              array
    ("wl_surface.commit",                        7,  (),                                 [7, 6]),
    ("wl_surface.damage",                        7,  (-1, 2, 3, 4),                      [7, 2, -1, 2, 3, 4]),
    ("wl_surface.attach",                        7,  (0, 0, 0),                          [7, 1, 0, 0, 0]),
    ("wl_compositor.create_surface",             4,  (9,),                               [4, 0, 9]),
    ("wl_shm.create_pool",                       5,  (6, 4096),                          [5, 0, 6, BLANK, 4096]),
    ("xdg_toplevel.set_title",                   8,  ("ä",),                             [8, 2, "ä"]),
    ("wl_data_offer.accept",                     3,  (1, None),                          [3, 0, 1, None]),
    ("wl_registry.bind",                         2,  (1, ("wl_shm", 2, 3)),              [2, 0, 1, ["wl_shm", 2, 3]]),
    ("wp_viewport.set_source",                   6,  (0.5, -0.5, 1.0, 1.00390625),       [6, 1, 0.5, -0.5, 1.0, 1.00390625]),
    ("wp_linux_drm_syncobj_surface_v1.set_acquire_point", 9, (4, 2**64 - 1),             [9, 1, 4, 2**64 - 1]),
    ("xwayland_surface_v1.set_serial",           9,  (2**63,),                           [9, 0, 2**63]),
    ("wl_keyboard.enter",                        5,  (1, 7, b"\1\2\3"),                  [5, 1, 1, 7, b"\1\2\3"]),
    ("wl_keyboard.keymap",                       5,  (1, 900),                           [5, 0, 1, BLANK, 900]),
    ("wl_display.error",                         1,  (7, 5, "no"),                       [1, 0, 7, 5, "no"]),
    ("wp_presentation_feedback.presented",       6,  (2**32, 5, 16, 3, 1),               [6, 1, 2**32, 5, 16, 3, 1]),
]  # fmt: skip


def message_of(name: str) -> object:
    interface_name, _, wanted = name.partition(".")
    table = interface(interface_name)
    return next(each for each in (*table.requests, *table.events) if each.name == wanted)


@pytest.mark.requirement("S25", "TRN-05")
@pytest.mark.parametrize(("name", "object_id", "values", "array"), MESSAGES)
def test_a_message_is_this_array_and_this_array_is_that_message(
    name: str, object_id: int, values: tuple[object, ...], array: list[object]
) -> None:
    message = message_of(name)

    assert MsgpackWire.encoder(message)(object_id, values) == pack(array)
    ((heard_by, opcode, body),) = MsgpackWire().frames(pack(array))
    assert (heard_by, opcode) == (object_id, message.opcode)
    assert tuple(MsgpackWire.decoder(message)(body)) == values


def test_a_number_without_a_fraction_may_come_as_an_integer_where_fixed_is_meant() -> None:
    message = message_of("wp_viewport.set_source")

    values = MsgpackWire.decoder(message)((1, 2, 3, 0.5))

    assert list(values) == [1.0, 2.0, 3.0, 0.5]
    assert all(type(each) is float for each in values)


NOT_ARGUMENTS = [
    ("wl_surface.damage",      (1, 2, 3)),
    ("wl_surface.damage",      (1, 2, 3, 4, 5)),
    ("wl_surface.damage",      (1, 2, 3, 2**31)),
    ("wl_surface.damage",      (1, 2, 3, 4.0)),
    ("wl_surface.damage",      (1, 2, 3, True)),
    ("wl_surface.damage",      (1, 2, 3, "4")),
    ("wl_surface.damage",      (1, 2, 3, None)),
    ("wl_surface.attach",      (-1, 0, 0)),
    ("wl_surface.attach",      (None, 0, 0)),
    ("wl_surface.commit",      (1,)),
    ("xdg_toplevel.set_title", (b"bytes",)),
    ("xdg_toplevel.set_title", (None,)),
    ("xdg_toplevel.set_title", ("a\0b",)),
    ("xdg_toplevel.set_title", ()),
    ("wl_data_offer.accept",   (True, None)),
    ("wl_data_offer.accept",   (2**32, None)),
    ("wl_registry.bind",       (1, "wl_shm", 2, 3)),
    ("wl_registry.bind",       (1, ("wl_shm", 2))),
    ("wl_registry.bind",       (1, ("wl_shm", 2, -3))),
    ("wl_registry.bind",       (1, (7, 2, 3))),
    ("wp_viewport.set_source", (0.5, 0.5, 1.0, 0.1)),
    ("wp_viewport.set_source", (0.5, 0.5, 1.0, float("nan"))),
    ("wp_viewport.set_source", (0.5, 0.5, 1.0, float("inf"))),
    ("wp_viewport.set_source", (0.5, 0.5, 1.0, 2.0**23)),
    ("wp_viewport.set_source", (0.5, 0.5, 1.0, False)),
    ("wp_linux_drm_syncobj_surface_v1.set_acquire_point", (4, 2**64 - 1 + 1.0)),
    ("wp_linux_drm_syncobj_surface_v1.set_acquire_point", (4, -1)),
    ("wl_keyboard.enter",      (1, 7, "text")),
    ("wl_shm.create_pool",     (6, 3, 4096)),
    ("wl_shm.create_pool",     (6, bytes(16), 4096)),
    ("wl_shm.create_pool",     (6, Ext(2, bytes(16)), 4096)),
    ("wl_shm.create_pool",     (6, Ext(1, bytes(15)), 4096)),
    ("wl_shm.create_pool",     (6, 4096)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "arguments"), NOT_ARGUMENTS)
def test_arguments_of_another_number_type_or_size_are_malformed(
    name: str, arguments: tuple[object, ...]
) -> None:
    wire = MsgpackWire()
    ((_, _, body),) = wire.frames(pack([3, 0, *arguments]))

    with pytest.raises(wire.refusals):
        wire.decoder(message_of(name))(body)


NOT_MESSAGES = [
    b"\x01",
    b"\xc1",
    b"\xa1\xff",
    b"\xdd\xff\xff\xff\xff",
    b"\xc9\xff\xff\xff\xff\x01",
    b"\x91" * 100_000,
    pack([]),
    pack([3]),
    pack({3: 1}),
    pack("wl_surface"),
    pack(["3", 0]),
    pack([3.0, 0]),
    pack([True, 0]),
    pack([3, -1]),
    pack([3, None]),
    pack([3, [0]]),
    pack([3, 0, *range(100)]),
    pack([3, 0, "x" * 5000]),
    pack([3, 0, "x" * 300_000]),
]


@pytest.mark.parametrize("data", NOT_MESSAGES, ids=range(len(NOT_MESSAGES)))
def test_what_is_no_array_of_a_message_is_malformed(data: bytes) -> None:
    with pytest.raises(Malformed):
        list(MsgpackWire().frames(data))


def test_how_a_batch_is_cut_makes_no_difference() -> None:
    batch = pack([3, 0], [8, 2, "title"], [5, 0, 6, BLANK, 4096], [7, 2, -1, 2, 3, 4])
    whole = list(MsgpackWire().frames(batch))

    for size in range(1, len(batch)):
        wire = MsgpackWire()
        pieces = [batch[at : at + size] for at in range(0, len(batch), size)]
        assert [message for piece in pieces for message in wire.frames(piece)] == whole


def test_a_message_that_never_ends_is_malformed_once_it_is_too_long() -> None:
    wire = MsgpackWire()
    assert list(wire.frames(pack([3, 0, "x" * 5000])[:4000])) == []

    with pytest.raises(Malformed):
        list(wire.frames(b"x" * 1000))


@pytest.mark.requirement("TRN-02")
@pytest.mark.parametrize(
    "data", [*NOT_MESSAGES, pack([1, 7]), pack([99, 0]), pack([1, 0]), pack([1, 0, "2"])], ids=range(23)
)
def test_a_server_answers_it_with_an_error_on_the_display_and_hears_no_more(data: bytes) -> None:
    server, client = serve_nothing()

    server.receive(data)
    for said, _ in server.take_output():
        client.receive(said)

    assert server.error is not None
    assert client.error is not None
    assert (client.error.interface, client.error.code) == ("wl_display", server.error.code)
    assert server.error.code == (0 if data == pack([99, 0]) else 1)


@pytest.mark.requirement("TRN-03")
def test_the_messages_before_a_broken_one_are_heard() -> None:
    server, _ = serve_nothing()

    server.receive(pack([1, 1, 2]) + b"\xc1")

    assert set(server.objects) == {1, 2}
    assert server.closing


def serve_nothing() -> tuple[Connection, Connection]:
    return serve(Globals(), wire=MsgpackWire()), Display.connect(wire=MsgpackWire()).connection


def test_what_the_schema_forbids_is_not_sent() -> None:
    for name, values in [
        ("wl_surface.damage", (1, 2, 3)),
        ("wl_surface.damage", (1, 2, 3, 2**31)),
        ("xdg_toplevel.set_title", (None,)),
        ("xdg_toplevel.set_title", ("a\0b",)),
        ("wp_viewport.set_source", (0.5, 0.5, 1.0, 2.0**23)),
        ("wp_viewport.set_source", ("0.5", 0.5, 1.0, 1.0)),
    ]:
        with pytest.raises(Misuse):
            MsgpackWire.encoder(message_of(name))(3, values)


def test_a_fixed_number_leaves_rounded_as_on_the_wayland_wire() -> None:
    data = MsgpackWire.encoder(message_of("wp_viewport.set_source"))(6, (0.1, 0, 1, 1))

    assert msgspec.msgpack.decode(data)[2] == 26 / 256


def test_tokens_take_the_places_of_the_blanks_in_their_order() -> None:
    lookalike = "\xd8\1" + "\0" * 16
    first, second = b"a" * 16, b"b" * 16

    filled = with_tokens(
        pack([5, 0, 6, BLANK, 4096], [7, 6], [8, 2, lookalike], [5, 0, 9, BLANK, 1]), [first, second]
    )

    assert filled == pack(
        [5, 0, 6, Ext(1, first), 4096], [7, 6], [8, 2, lookalike], [5, 0, 9, Ext(1, second), 1]
    )
    assert tokens_in(filled) == [first, second]


def test_tokens_of_a_broken_batch_are_those_before_the_break() -> None:
    assert tokens_in(pack([5, 0, 6, Ext(1, b"a" * 16), 4096]) + b"\xc1" + pack([5, 0, 6, BLANK, 1])) == [
        b"a" * 16
    ]
