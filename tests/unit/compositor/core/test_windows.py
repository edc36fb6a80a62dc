"""xdg-shell: construction, configure and ack, states, popups, focus."""

import pytest
from world import Client, Picture, Window, World, machine

from syncline.compositor.core.effects import (
    Configure,
    ConfigurePopup,
    EnterOutput,
    KeyboardFocus,
    LeaveOutput,
    PointerButton,
    PointerFocus,
    PopupDone,
)
from syncline.compositor.core.errors import Violation
from syncline.compositor.core.geometry import Rect
from syncline.compositor.core.shell import Popup, Positioner
from syncline.protocol.enums import (
    WlSubcompositor,
    WlSubsurface,
    WlSurface,
    XdgPopup,
    XdgPositioner,
    XdgSurface,
    XdgToplevel,
    XdgWmBase,
)

ACTIVATED, FULLSCREEN, SUSPENDED = (
    XdgToplevel.State.ACTIVATED,
    XdgToplevel.State.FULLSCREEN,
    XdgToplevel.State.SUSPENDED,
)


def refused(action: object, *args: object, **kwargs: object) -> object:
    with pytest.raises(Violation) as refusal:
        action(*args, **kwargs)  # type: ignore[operator]
    return refusal.value.code


@pytest.mark.requirement("X1")
def test_a_buffer_before_the_first_ack_is_refused() -> None:
    world = World()
    client = Client(world, "client")
    surface = client.surface()
    xdg = world.core.shell.make_xdg_surface(surface)
    assert refused(world.core.commit, surface, world.now_ns) is XdgSurface.Error.NOT_CONSTRUCTED
    world.core.shell.make_toplevel(xdg)
    surface.pending.attached = world.core.create_color(client.peer, 0xFF00_00FF)
    assert refused(world.core.commit, surface, world.now_ns) is XdgSurface.Error.UNCONFIGURED_BUFFER


@pytest.mark.requirement("X3")
def test_an_unknown_or_repeated_serial_is_refused() -> None:
    world = World()
    window = Client(world, "client").window()
    shell = world.core.shell
    assert refused(shell.ack_configure, window.xdg, 99) is XdgSurface.Error.INVALID_SERIAL
    repeated = window.configured[0][0]
    assert refused(shell.ack_configure, window.xdg, repeated) is XdgSurface.Error.INVALID_SERIAL


def test_a_surface_has_one_role_for_life() -> None:
    world = World()
    client = Client(world, "client")
    window, other = client.window(), client.surface()
    core = world.core
    assert refused(core.subsurfaces.make, window.surface, other) is WlSubcompositor.Error.BAD_SURFACE
    assert refused(core.subsurfaces.make, other, other) is WlSubcompositor.Error.BAD_PARENT
    core.subsurfaces.make(other, window.surface)
    assert refused(core.shell.make_xdg_surface, other) is XdgWmBase.Error.ROLE
    stranger = client.surface()
    assert refused(core.subsurfaces.place, other, stranger, above=True) is WlSubsurface.Error.BAD_SURFACE


@pytest.mark.requirement("C21")
def test_a_surface_outlives_its_role_object() -> None:
    world = World()
    window = Client(world, "client").window()
    core, now_ns = world.core, world.now_ns
    assert refused(core.destroy_surface, window.surface, now_ns) is WlSurface.Error.DEFUNCT_ROLE_OBJECT
    assert refused(core.shell.destroy_xdg_surface, window.xdg, now_ns) is XdgSurface.Error.DEFUNCT_ROLE_OBJECT


@pytest.mark.requirement("X6")
def test_after_a_null_attach_a_window_starts_over() -> None:
    world = World()
    window = Client(world, "client").window()
    window.present("red")
    world.run_until_ms(20)
    window.surface.pending.attached = None
    window.commit()
    window.surface.explicit = False
    window.surface.pending.attached = window.image("blue").buffer
    assert refused(world.core.commit, window.surface, world.now_ns) is XdgSurface.Error.UNCONFIGURED_BUFFER

    window.surface.pending.attached = None
    window.commit()
    assert world.told(Configure)[-1].is_first


@pytest.mark.requirement("X2")
def test_fullscreen_takes_effect_with_the_buffer_that_was_drawn_for_it() -> None:
    world = World()
    window = Client(world, "client").window()
    window.present("small")
    world.run_until_ms(20)
    world.core.shell.set_fullscreen(window.toplevel, on=True, now_ns=world.now_ns)
    world.settle()
    configure = world.told(Configure)[-1]
    assert (configure.width, configure.height) == (320, 240)
    assert configure.states == (FULLSCREEN, ACTIVATED)

    window.ack()
    window.present("big", gpu_ms=30)
    world.run_until_ms(40)
    assert (window.surface.width, window.toplevel.x) == (100, 110), "still small (ACQ-19)"
    world.run_until_ms(80)
    assert (window.surface.width, window.toplevel.x) == (320, 0)


def test_a_minimized_window_is_told_that_it_is_suspended() -> None:
    world = World()
    window = Client(world, "client").window()
    window.present("red")
    world.run_until_ms(20)

    world.core.shell.set_minimized(window.toplevel, world.now_ns)
    world.settle()
    assert SUSPENDED in world.told(Configure)[-1].states
    assert world.told(LeaveOutput)
    assert world.told(KeyboardFocus)[-1].new is None

    world.core.shell.activate(window.toplevel, world.now_ns)
    world.settle()
    assert world.told(Configure)[-1].states == (ACTIVATED,)
    assert len(world.told(EnterOutput)) == 2


def test_windows_are_placed_so_that_all_can_be_seen() -> None:
    world = World(machine(60_000, width=640, height=480))
    windows = [Client(world, f"client {number}").window(150, 100) for number in range(6)]
    for window in windows:
        window.present("red")
    world.run_until_ms(20)

    places = [Rect(window.toplevel.x, window.toplevel.y, 150, 100) for window in windows]
    assert all(world.core.outputs[0].rect.covers(place) for place in places)
    for place in places:
        assert all(place is other or place.intersect(other).is_empty for other in places)


def popup_of(window: Window, **rules: object) -> tuple[Popup, Picture]:
    world = window.world
    positioner = Positioner(60, 30, Rect(0, 0, 100, 80), **rules)  # type: ignore[arg-type]
    picture = Picture(window.client, window.client.surface(), 60, 30, explicit=False)
    xdg = world.core.shell.make_xdg_surface(picture.surface)
    popup = world.core.shell.make_popup(xdg, window.xdg, positioner)
    return popup, picture


def show(popup: Popup, picture: Picture) -> None:
    world = picture.world
    picture.commit()
    world.core.shell.ack_configure(popup.xdg, world.told(ConfigurePopup)[-1].serial)
    picture.present("menu")
    world.run_ms(20)


def test_a_popup_hangs_below_its_anchor_and_flips_where_there_is_no_room() -> None:
    world = World()
    window = Client(world, "client").window()
    window.present("red")
    world.run_until_ms(20)
    below = {"anchor": XdgPositioner.Anchor.BOTTOM_LEFT, "gravity": XdgPositioner.Gravity.BOTTOM_RIGHT}

    popup, picture = popup_of(window, **below)
    show(popup, picture)
    assert popup.rect == Rect(0, 80, 60, 30)

    world.core.shell.move(window.toplevel, x=0, y=150, now_ns=world.now_ns)
    flipping, other = popup_of(window, **below, adjustment=XdgPositioner.ConstraintAdjustment.FLIP_Y)
    show(flipping, other)
    assert flipping.rect == Rect(0, -30, 60, 30)


def test_a_press_elsewhere_ends_a_grabbing_popup() -> None:
    world = World()
    window, other = Client(world, "client").window(), Client(world, "other").window()
    window.present("red")
    other.present("blue")
    world.run_until_ms(20)
    popup, picture = popup_of(window)
    world.core.shell.grab(popup)
    show(popup, picture)
    assert refused(world.core.shell.grab, popup) is XdgPopup.Error.INVALID_GRAB
    assert world.told(KeyboardFocus)[-1].new is picture.surface

    world.core.seat.move_pointer(x=other.toplevel.x + 5, y=other.toplevel.y + 5, now_ns=world.now_ns)
    world.core.seat.press(button=0x110, pressed=True, now_ns=world.now_ns)
    world.settle()

    assert world.told(PopupDone)
    assert world.told(PointerFocus)[-1].new is other.surface
    assert world.told(PointerButton)[-1].surface is other.surface
    assert other.toplevel.is_activated


def test_a_popup_below_another_cannot_go_first() -> None:
    world = World()
    window = Client(world, "client").window()
    window.present("red")
    popup, picture = popup_of(window)
    show(popup, picture)
    inner = world.core.shell.make_xdg_surface(window.client.surface())
    world.core.shell.make_popup(inner, popup.xdg, Positioner(10, 10, Rect(0, 0, 5, 5)))
    code = refused(world.core.shell.destroy_popup, popup, world.now_ns)
    assert code is XdgWmBase.Error.NOT_THE_TOPMOST_POPUP
