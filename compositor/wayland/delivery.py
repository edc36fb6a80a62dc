"""Effects to events: what the core has decided, said on the wire objects it concerns.

Whoever an effect is for may have left since: then there is nobody to tell, and nothing is said.
"""

from typing import Final, assert_never

from syncline.compositor.core.effects import (
    BufferReleased,
    CaptureFailed,
    CaptureReady,
    Close,
    CommitReleased,
    Configure,
    ConfigurePopup,
    Discarded,
    EnterOutput,
    FrameDone,
    LateViolation,
    LeaveOutput,
    PopupDone,
    PreferredScale,
    Presented,
)
from syncline.compositor.core.shell import XdgSurface
from syncline.compositor.core.surface import Surface
from syncline.compositor.wayland.capture import Frame
from syncline.compositor.wayland.presentation import WpPresentationFeedback
from syncline.compositor.wayland.session import Session, Stage
from syncline.compositor.wayland.xdg_surface import XdgPopup
from syncline.compositor.wayland.xdg_toplevel import XdgToplevel
from syncline.protocol.display import Callback
from syncline.protocol.object import Resource

NS_PER_MS: Final = 1_000_000
_SCALE_OF_ONE: Final = 120

TokenEffect = (
    FrameDone | Presented | Discarded | BufferReleased | CommitReleased | CaptureReady | CaptureFailed
)
WindowEffect = Configure | ConfigurePopup | PopupDone | Close
SurfaceEffect = EnterOutput | LeaveOutput | PreferredScale | LateViolation


def tell_tokens(stage: Stage, effect: TokenEffect) -> None:
    """Objects that went into the core and come out with their answer."""
    match effect:
        case FrameDone(callbacks, time_ns):
            for callback in callbacks:
                _done(callback, time_ns // NS_PER_MS & 0xFFFF_FFFF)
        case Presented() | Discarded():
            for feedback in effect.feedbacks:
                assert isinstance(feedback, WpPresentationFeedback)
                feedback.answer(effect)
        case BufferReleased(buffer):
            if released := stage.released.get(buffer):
                released()
        case CommitReleased(callback):
            _done(callback, 0)
        case CaptureReady() | CaptureFailed():
            assert isinstance(effect.token, Frame)
            effect.token.answer(effect)
        case _:
            assert_never(effect)


def _done(callback: object, data: int) -> None:
    assert isinstance(callback, Callback)
    callback.done(data)


def tell_window(stage: Stage, effect: WindowEffect) -> None:
    """To an xdg_toplevel or xdg_popup, and then its xdg_surface."""
    match effect:
        case Configure(toplevel, serial):
            wire = _window_object(stage, toplevel.xdg, XdgToplevel.interface)
            if isinstance(wire, XdgToplevel):
                wire.configure(effect)
                _configure(stage, toplevel.xdg, serial)
        case ConfigurePopup(popup, serial):
            wire = _window_object(stage, popup.xdg, XdgPopup.interface)
            if isinstance(wire, XdgPopup):
                wire.configure(effect)
                _configure(stage, popup.xdg, serial)
        case PopupDone(popup):
            if wire := _window_object(stage, popup.xdg, XdgPopup.interface):
                wire.send("popup_done")
        case Close(toplevel):
            if wire := _window_object(stage, toplevel.xdg, XdgToplevel.interface):
                wire.send("close")
        case _:
            assert_never(effect)


def _configure(stage: Stage, xdg: XdgSurface, serial: int) -> None:
    window = _window_object(stage, xdg, "xdg_surface")
    assert window is not None, "a role object never outlives its xdg_surface"
    window.send("configure", serial)
    session = stage.sessions[xdg.surface.client]
    session.pulse.ping(stage.next_serial(), stage.now_ns)


def _window_object(stage: Stage, xdg: XdgSurface, interface: str) -> Resource | None:
    session = stage.sessions.get(xdg.surface.client)
    return session.object_of(xdg.surface, interface) if session else None


def tell_surface(stage: Stage, effect: SurfaceEffect) -> None:
    """To a wl_surface."""
    surface = effect.surface
    session = stage.sessions.get(surface.client)
    wire = session.object_of(surface, "wl_surface") if session else None
    if session is None or wire is None:
        return
    match effect:
        case EnterOutput(surface, output):
            session.surfaces[surface].outputs.append(output)
            for bound in session.outputs.get(output, ()):
                wire.send("enter", bound)
        case LeaveOutput(surface, output):
            session.surfaces[surface].outputs.remove(output)
            for bound in session.outputs.get(output, ()):
                wire.send("leave", bound)
        case PreferredScale():
            _prefer(session, wire, surface, effect)
        case LateViolation():
            wire.connection.post_error(session.violated(effect.violation, surface=surface, by=None))
        case _:
            assert_never(effect)


def _prefer(session: Session, wire: Resource, surface: Surface, effect: PreferredScale) -> None:
    session.surfaces[surface].scale = effect
    if wire.version >= 6:
        wire.send("preferred_buffer_scale", -(-effect.scale_120 // _SCALE_OF_ONE))
        wire.send("preferred_buffer_transform", effect.transform)
    if fractional := session.object_of(surface, "wp_fractional_scale_v1"):
        fractional.send("preferred_scale", effect.scale_120)
