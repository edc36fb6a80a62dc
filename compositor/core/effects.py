"""All that can be told to a client, as values. `Compositor.drain()` hands them out in order.

Callbacks, feedbacks and other wire objects travel through the core as opaque tokens (`object`): the
wayland room puts in what it likes and gets the same thing back, exactly once.
"""

from msgspec import Struct

from syncline.compositor.core.buffer import Buffer
from syncline.compositor.core.errors import Violation
from syncline.compositor.core.geometry import Rect
from syncline.compositor.core.output import Output
from syncline.compositor.core.shell import Popup, Toplevel
from syncline.compositor.core.surface import Client, Surface
from syncline.protocol.enums import ExtImageCopyCaptureFrameV1, WpPresentationFeedback


class FrameDone(Struct, frozen=True):
    """wl_callback.done for these callbacks, in this order; the argument is milliseconds of `time_ns`."""

    callbacks: tuple[object, ...]
    time_ns: int


class Presented(Struct, frozen=True):
    """wp_presentation_feedback.presented for each (P3); sync_output before it (P5). `refresh_ns` 0: unknown."""

    feedbacks: tuple[object, ...]
    output: Output
    time_ns: int
    refresh_ns: int
    sequence: int
    flags: WpPresentationFeedback.Kind


class Discarded(Struct, frozen=True):
    """wp_presentation_feedback.discarded for each (P4)."""

    feedbacks: tuple[object, ...]


class BufferReleased(Struct, frozen=True):
    """wl_buffer.release, or for an upload: it may be written again. Never for explicit commits (S84)."""

    buffer: Buffer


class CommitReleased(Struct, frozen=True):
    """The callback of wl_surface.get_release (v7) for one commit is due: done(0) (C14)."""

    callback: object


class Configure(Struct, frozen=True):
    """xdg_toplevel.configure_bounds, .wm_capabilities at first, .configure, then xdg_surface.configure(serial).

    `width`/`height` 0: the client chooses. `states` are xdg_toplevel.state values, in numeric order.
    """

    toplevel: Toplevel
    serial: int
    width: int
    height: int
    states: tuple[int, ...]
    bounds: tuple[int, int]
    is_first: bool


class ConfigurePopup(Struct, frozen=True):
    """xdg_popup.repositioned when `token` is not None, .configure (parent-relative), xdg_surface.configure."""

    popup: Popup
    serial: int
    rect: Rect
    token: int | None = None


class PopupDone(Struct, frozen=True):
    popup: Popup


class Close(Struct, frozen=True):
    """xdg_toplevel.close."""

    toplevel: Toplevel


class EnterOutput(Struct, frozen=True):
    surface: Surface
    output: Output


class LeaveOutput(Struct, frozen=True):
    surface: Surface
    output: Output


class PreferredScale(Struct, frozen=True):
    """wl_surface.preferred_buffer_scale/_transform (v6) and wp_fractional_scale.preferred_scale (120ths)."""

    surface: Surface
    scale_120: int
    transform: int


class OutputAdded(Struct, frozen=True):
    """A wl_output global appears."""

    output: Output


class OutputRemoved(Struct, frozen=True):
    """Its global goes; bound objects become inert."""

    output: Output


class CaptureReady(Struct, frozen=True):
    """The copy has *finished* (B40): damage, presentation_time, then ready. `damage` in buffer pixels."""

    token: object
    time_ns: int
    transform: int
    damage: tuple[Rect, ...]


class CaptureFailed(Struct, frozen=True):
    token: object
    reason: ExtImageCopyCaptureFrameV1.FailureReason


class PointerFocus(Struct, frozen=True):
    """wl_pointer.leave for `old`, enter for `new`; positions in surface coordinates, 24.8 fixed point."""

    old: Surface | None
    new: Surface | None
    x: int
    y: int


class PointerMotion(Struct, frozen=True):
    surface: Surface
    time_ns: int
    x: int
    y: int


class PointerButton(Struct, frozen=True):
    """`button` is a linux/input-event-codes.h number."""

    surface: Surface
    time_ns: int
    button: int
    pressed: bool


class KeyboardFocus(Struct, frozen=True):
    """wl_keyboard.leave for `old`, enter for `new`; selection offers follow the new one."""

    old: Surface | None
    new: Surface | None


class LateViolation(Struct, frozen=True):
    """An error that could only be judged when the update was applied (V2): post it as if just raised."""

    client: Client
    surface: Surface
    violation: Violation


Effect = (
    FrameDone
    | Presented
    | Discarded
    | BufferReleased
    | CommitReleased
    | Configure
    | ConfigurePopup
    | PopupDone
    | Close
    | EnterOutput
    | LeaveOutput
    | PreferredScale
    | OutputAdded
    | OutputRemoved
    | CaptureReady
    | CaptureFailed
    | PointerFocus
    | PointerMotion
    | PointerButton
    | KeyboardFocus
    | LateViolation
)
