"""The numbers by which both sides know an object: given, in use, given back.

Which error a bad number is the text leaves open: libwayland calls the message malformed (invalid_method), others say that
there is no such object (invalid_object). Either has to be wl_display's.
"""

import tempfile
from collections.abc import Callable
from functools import partial
from typing import Final, TypeVar

from syncline.conformance.case import RunClass, case
from syncline.conformance.client import Client
from syncline.conformance.thing import Thing
from syncline.conformance.trial import Trial
from syncline.conformance.verdict import Failure
from syncline.conformance.window import Window
from syncline.protocol.object import Object

S = RunClass.S
Made = TypeVar("Made", bound=Object)
SERVERS: Final = 0xFF00_0000
"""The first number of the compositor's range."""
HIGHEST: Final = 0xFFFF_FFFF
FAR: Final = 1000
"""Beyond anything that a client has made here."""
SMALL_BYTES: Final = 64
TRIED_MAX: Final = 8
GLOBALS: Final = ("wl_compositor", "xdg_wm_base", "wl_shm", "wp_presentation")


def _refuses(trial: Trial, client: Client) -> None:
    trial.note(client.expect_error(client.display, "invalid_method", "invalid_object"))


# Given back.


def _region(client: Client) -> Thing:
    region = client.bind("wl_compositor").make("create_region")
    region.send("add", 0, 0, 10, 10)
    return region


def _surface(client: Client) -> Thing:
    surface = client.surface()
    surface.send("set_buffer_scale", 2)
    surface.send("commit")
    return surface


def _positioner(client: Client) -> Thing:
    positioner = client.bind("xdg_wm_base").make("create_positioner")
    positioner.send("set_anchor_rect", 0, 0, 10, 10)
    return positioner


def _pool(client: Client) -> Thing:
    with tempfile.TemporaryFile() as file:
        file.truncate(SMALL_BYTES)
        pool = client.bind("wl_shm").make("create_pool", file.fileno(), SMALL_BYTES)
    pool.send("resize", SMALL_BYTES)
    return pool


def _callback(client: Client) -> Object:
    return client.display.sync(lambda _: None)


LIVES: Final = (_surface, _positioner, _pool, _callback, _region)


def _numbered(number: int, make: Callable[[], Made]) -> Made:
    """One of several that has the number: our side gives first what was given back last. Raises Failure."""
    for _ in range(TRIED_MAX):
        made = make()
        if made.id == number:
            return made
    raise Failure(f"the number {number} was not given back")


@case("ID1", S)
def test_ids_01_a_number_lives_again_as_something_else(trial: Trial) -> None:
    """Region, surface, positioner, pool, callback, region, window: in turn they have one number, and each does its work."""
    client = trial.client()
    for interface in filter(client.offers, GLOBALS):  # which keep the numbers that they take
        client.bind(interface)
    life: Object = _region(client)
    number = life.id

    def end() -> None:
        if life.alive:
            life.send("destroy")
        client.roundtrip()
        trial.expect(lambda: not client.connection.interface_of(number), f"wl_display.delete_id({number})")

    for make in LIVES:
        end()
        life = _numbered(number, partial(make, client))
        client.roundtrip()
    end()
    window = Window(trial, client, explicit=False, wl=_numbered(number, client.surface))
    window.settle(window.show(client.shm_buffer()))


# Given wrongly.


def _asks_for(client: Client, number: int, *, by_bind: bool = False) -> None:
    """Make something new of that number."""
    if by_bind:
        [name, (interface, _)] = next(iter(client.registry.globals.items()))
        client.registry.send("bind", name, client.new_id(interface, number))
    else:
        client.bind("wl_compositor").send("create_region", client.new_id("wl_region", number))


@case("ID2", S)
def test_ids_02_a_number_in_use_is_refused(trial: Trial) -> None:
    """That of a surface, of the registry, of wl_display itself; by a request, and by wl_registry.bind."""
    for by_bind in (False, True):
        for which in ("surface", "registry", "display"):
            client = trial.client(f"{which} by {'bind' if by_bind else 'create_region'}")
            taken = {"surface": client.surface(), "registry": client.registry, "display": client.display}
            client.roundtrip()
            _asks_for(client, taken[which].id, by_bind=by_bind)
            _refuses(trial, client)


@case("ID3", S, priority=2, practice=True)
def test_ids_03_a_number_out_of_line_is_refused(trial: Trial) -> None:
    """Far above those in use, in the compositor's range, and 0; by a request, and by wl_registry.bind."""
    for by_bind in (False, True):
        for number in (FAR, SERVERS, HIGHEST, 0):
            client = trial.client(f"{number:#x} by {'bind' if by_bind else 'create_region'}")
            _asks_for(client, number, by_bind=by_bind)
            _refuses(trial, client)


@case("ID4", S)
def test_ids_04_what_names_nobody_is_an_error(trial: Trial) -> None:
    """A request to a number that was never given, or to an object that has ended: invalid_object on wl_display."""
    for has_ended in (False, True):
        client = trial.client("ended" if has_ended else "never given")
        number = FAR
        if has_ended:
            region = _region(client)
            number = region.id
            region.send("destroy")
            client.roundtrip()
        client.pretend("wl_region", number).send("add", 0, 0, 1, 1)
        trial.note(client.expect_error(client.display, "invalid_object"))


@case("ID4", S)
def test_ids_05_an_argument_that_is_nobody_or_of_another_kind_is_an_error(trial: Trial) -> None:
    """Where a region belongs: one that was never made, one that has ended, and a positioner."""
    for what in ("never made", "ended", "a positioner"):
        client = trial.client(what)
        surface, region, positioner = client.surface(), _region(client), _positioner(client)
        if what == "ended":
            region.send("destroy")
        client.roundtrip()
        number = {"never made": FAR, "ended": region.id, "a positioner": positioner.id}[what]
        surface.send("set_input_region", client.pretend("wl_region", number))
        _refuses(trial, client)
