"""The schema is the whole of the tables, with 64-bit values joined and nothing lost."""

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
import pywayland.protocol
from pywayland.protocol_core import Interface as Table

from syncline.protocol import schema
from syncline.protocol.schema import U64, Argument, Kind, interface, interfaces


def test_every_message_of_every_module_is_found() -> None:
    tables: dict[str, type[Table]] = {}
    for source in Path(next(iter(pywayland.protocol.__path__))).glob("*.py"):
        for table in vars(import_module(f"pywayland.protocol.{source.stem}")).values():
            if isinstance(table, type) and issubclass(table, Table) and table is not Table:
                tables[table.name] = max(table, tables.get(table.name, table), key=lambda each: each.version)

    assert interfaces() == sorted(tables)
    for name, table in tables.items():
        assert [each.name for each in interface(name).requests] == [each.name for each in table.requests]
        assert [each.name for each in interface(name).events] == [each.name for each in table.events]


@pytest.mark.parametrize(
    ("name", "version"),
    [("zwp_linux_dmabuf_v1", 6), ("zwp_tablet_manager_v2", 2), ("xdg_surface", 7), ("xdg_popup", 7)],
)
def test_of_two_modules_with_one_interface_the_newer_counts(name: str, version: int) -> None:
    assert interface(name).version == version


def test_an_unknown_interface_is_a_key_error() -> None:
    with pytest.raises(KeyError, match="wl_nothing"):
        interface("wl_nothing")


def test_a_request_has_its_names_kinds_and_opcode() -> None:
    get_surface = interface("wp_linux_drm_syncobj_manager_v1").request("get_surface")

    assert (get_surface.opcode, get_surface.since, get_surface.ends_object) == (1, 1, False)
    assert get_surface.arguments == (
        Argument("id", Kind.NEW_ID, interface="wp_linux_drm_syncobj_surface_v1"),
        Argument("surface", Kind.OBJECT, interface="wl_surface"),
    )


def test_the_open_new_id_of_bind_is_one_argument() -> None:
    bind = interface("wl_registry").request("bind")

    assert bind.arguments == (Argument("name", Kind.UINT), Argument("id", Kind.NEW_ID))


def test_halves_of_a_64_bit_value_are_one_argument() -> None:
    presented = interface("wp_presentation_feedback").event("presented")

    assert [each.name for each in presented.arguments] == ["tv_sec", "tv_nsec", "refresh", "seq", "flags"]
    assert [each.kind in U64 for each in presented.arguments] == [True, False, False, True, False]


def test_no_half_of_a_64_bit_value_is_left_over() -> None:
    names = [
        f"{message}.{argument.name}"
        for each in map(interface, interfaces())
        for message in each.requests + each.events
        for argument in message.arguments
        if argument.name.endswith(("_hi", "_lo"))
    ]
    assert names == []


def test_one_interface_says_its_halves_the_other_way_round() -> None:
    assert interface("xwayland_surface_v1").request("set_serial").arguments == (
        Argument("serial", Kind.U64_LO_HI),
    )


def test_destructors_are_known() -> None:
    surface = interface("wl_surface")

    assert [each.name for each in surface.requests if each.ends_object] == ["destroy"]
    assert interface("wl_seat").request("release").ends_object


def test_no_message_makes_two_objects() -> None:
    for each in map(interface, interfaces()):
        for message in each.requests + each.events:
            assert sum(argument.kind is Kind.NEW_ID for argument in message.arguments) <= 1


def test_asking_for_one_interface_imports_one_module() -> None:
    program = (
        "import sys; from syncline.protocol.schema import interface; interface('wp_viewport');"
        "print(sorted(name for name in sys.modules if name.startswith('pywayland.protocol.')))"
    )
    imported = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert imported.stdout.strip() == "['pywayland.protocol.viewporter', 'pywayland.protocol.wayland']"


def test_a_message_prints_as_interface_and_name() -> None:
    assert str(schema.interface("wl_surface").request("commit")) == "wl_surface.commit"
