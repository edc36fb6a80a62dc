"""The one table of what the compositor speaks, and how an operator makes it speak less."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from syncline.compositor.core.output import Output
from syncline.compositor.core.policy import Sync
from syncline.compositor.wayland.capture import (
    ExtImageCopyCaptureManagerV1,
    ExtOutputImageCaptureSourceManagerV1,
)
from syncline.compositor.wayland.data_device import WlDataDeviceManager
from syncline.compositor.wayland.dmabuf import ZwpLinuxDmabufV1
from syncline.compositor.wayland.fixes import WlFixes
from syncline.compositor.wayland.output import WlOutput
from syncline.compositor.wayland.pacing import (
    WpCommitTimingManagerV1,
    WpFifoManagerV1,
    WpTearingControlManagerV1,
)
from syncline.compositor.wayland.presentation import WpPresentation
from syncline.compositor.wayland.seat import WlSeat
from syncline.compositor.wayland.session import Session
from syncline.compositor.wayland.shm import WlShm
from syncline.compositor.wayland.single_pixel import WpSinglePixelBufferManagerV1
from syncline.compositor.wayland.subsurface import WlSubcompositor
from syncline.compositor.wayland.surface import WlCompositor
from syncline.compositor.wayland.surface_extras import (
    WpContentTypeManagerV1,
    WpFractionalScaleManagerV1,
)
from syncline.compositor.wayland.syncobj import WpLinuxDrmSyncobjManagerV1
from syncline.compositor.wayland.viewporter import WpViewporter
from syncline.compositor.wayland.xdg_toplevel import ZxdgDecorationManagerV1
from syncline.compositor.wayland.xdg_wm_base import XdgWmBase
from syncline.protocol.display import Global
from syncline.protocol.object import NewId, Resource


@dataclass(frozen=True, slots=True)
class Spoken:
    """An interface that clients may bind, at most at this version."""

    interface: str
    version: int
    bind: Callable[[NewId, Session], Resource]


SPOKEN: Final = (
    Spoken("wl_compositor", 7, WlCompositor),
    Spoken("wl_subcompositor", 1, WlSubcompositor),
    Spoken("wl_shm", 2, WlShm),
    Spoken("wl_seat", 9, WlSeat),
    Spoken("wl_data_device_manager", 3, WlDataDeviceManager),
    Spoken("xdg_wm_base", 7, XdgWmBase),
    Spoken("zxdg_decoration_manager_v1", 2, ZxdgDecorationManagerV1),
    Spoken("zwp_linux_dmabuf_v1", 6, ZwpLinuxDmabufV1),
    Spoken("wp_linux_drm_syncobj_manager_v1", 1, WpLinuxDrmSyncobjManagerV1),
    Spoken("wp_presentation", 2, WpPresentation),
    Spoken("wp_fifo_manager_v1", 1, WpFifoManagerV1),
    Spoken("wp_commit_timing_manager_v1", 1, WpCommitTimingManagerV1),
    Spoken("wp_tearing_control_manager_v1", 1, WpTearingControlManagerV1),
    Spoken("wp_viewporter", 1, WpViewporter),
    Spoken("wp_single_pixel_buffer_manager_v1", 1, WpSinglePixelBufferManagerV1),
    Spoken("wp_fractional_scale_manager_v1", 1, WpFractionalScaleManagerV1),
    Spoken("wp_content_type_manager_v1", 1, WpContentTypeManagerV1),
    Spoken("ext_image_copy_capture_manager_v1", 1, ExtImageCopyCaptureManagerV1),
    Spoken("ext_output_image_capture_source_manager_v1", 1, ExtOutputImageCaptureSourceManagerV1),
    Spoken("wl_fixes", 2, WlFixes),
)

OUTPUT_INTERFACE: Final = "wl_output"
OUTPUT_VERSION: Final = 4

_VERSIONS: Final[Mapping[str, int]] = {each.interface: each.version for each in SPOKEN} | {
    OUTPUT_INTERFACE: OUTPUT_VERSION
}


HIDDEN: Final[Mapping[Sync, Mapping[str, int]]] = {
    Sync.NONE: {ZwpLinuxDmabufV1.interface: 0, WpLinuxDrmSyncobjManagerV1.interface: 0},
    Sync.IMPLICIT: {WpLinuxDrmSyncobjManagerV1.interface: 0},
    Sync.DMA: {},
    Sync.USER: {},
}
"""As caps: what a compositor that can do no more does not offer."""


class CapError(ValueError):
    """A `--cap` that means nothing; the text says why."""


def parse_caps(texts: Iterable[str]) -> dict[str, int]:
    """`GLOBAL=VERSION` each: offer no more than that version; 0 hides it. Raises CapError."""
    caps = {}
    for text in texts:
        interface, _, digits = text.partition("=")
        highest = _VERSIONS.get(interface)
        if highest is None:
            raise CapError(f"--cap {text}: no global {interface!r}; there are {', '.join(sorted(_VERSIONS))}")
        if not digits.isdecimal() or int(digits) > highest:
            raise CapError(f"--cap {text}: the version of {interface} goes from 0 (hidden) to {highest}")
        caps[interface] = int(digits)
    return caps


def offers(session: Session, caps: Mapping[str, int]) -> list[Global]:
    """What one client is offered, but for the outputs."""
    listed = [(each, min(each.version, caps.get(each.interface, each.version))) for each in SPOKEN]
    return [
        Global(each.interface, version, partial(_bind, each, session)) for each, version in listed if version
    ]


def output_offer(session: Session, output: Output, caps: Mapping[str, int]) -> Global | None:
    """One output's global for one client; None if outputs are hidden."""
    version = min(OUTPUT_VERSION, caps.get(OUTPUT_INTERFACE, OUTPUT_VERSION))
    if not version:
        return None
    return Global(OUTPUT_INTERFACE, version, partial(WlOutput, session=session, output=output))


def _bind(spoken: Spoken, session: Session, new: NewId) -> Resource:
    return spoken.bind(new, session)
