"""Viewports, dma-bufs and single pixels that are judged by other rules."""

from typing import Any

from mutants.mutant import Broken, breaks
from syncline.compositor.core import commits
from syncline.compositor.core.state import PendingState
from syncline.compositor.wayland import server
from syncline.compositor.wayland.dmabuf import ZwpLinuxBufferParamsV1, ZwpLinuxDmabufV1
from syncline.compositor.wayland.dmabuf_feedback import ZwpLinuxDmabufFeedbackV1
from syncline.compositor.wayland.single_pixel import WpSinglePixelBufferManagerV1
from syncline.compositor.wayland.viewporter import WpViewport
from syncline.protocol.enums import ZwpLinuxBufferParamsV1 as ParamsEnums
from syncline.protocol.errors import ProtocolError
from syncline.protocol.object import NewId

XRGB8888 = 0x34325258
ENTRY_BYTES = 16


@breaks("V1", at=(WpViewport, "set_destination"), killed_by="VPT-01")
def takes_empty_destinations(set_destination: Broken, self: WpViewport, width: int, height: int) -> None:
    """A destination without a size means none."""
    if self.surface.alive and min(width, height) == 0:
        self.surface.pending.viewport_destination = None
    else:
        set_destination(self, width, height)


@breaks("V2", at=(commits, "check_viewport"), killed_by="VPT-01")
def takes_any_source(_check: Broken, state: PendingState, buffer: Any) -> None:
    """A source beyond the buffer is taken."""


@breaks("V3", at=(WpViewport, "_check_surface"), killed_by="VPT-01")
def crops_orphans(_check: Broken, self: WpViewport) -> None:
    """A viewport of a surface that is gone takes requests."""


@breaks("Q1", at=(WpSinglePixelBufferManagerV1, "create_u32_rgba_buffer"), killed_by="VAL-27")
def makes_opaque_pixels_only(
    create: Broken, self: WpSinglePixelBufferManagerV1, new: NewId, r: int, g: int, b: int, a: int
) -> None:
    """Pixels of some colours are an error."""
    if not r + g + b:
        raise self.error(0, "black is no colour")
    create(self, new, r, g, b, a)


@breaks("D1", at=(ZwpLinuxDmabufV1, "__init__"), killed_by="DMA-01")
def lists_formats_for_ever(init: Broken, self: ZwpLinuxDmabufV1, new: NewId, session: Any) -> None:
    """Format events come at every version."""
    init(self, new, session)
    self.send("format", XRGB8888)


@breaks("D2", at=(ZwpLinuxDmabufFeedbackV1, "_send_tranche"), killed_by="DMA-01")
def leaves_tranches_open(_send: Broken, self: ZwpLinuxDmabufFeedbackV1, flags: int, indices: bytes) -> None:
    """No tranche says that it is complete."""
    self.send("tranche_flags", flags)
    self.send("tranche_formats", indices)


@breaks("D3", at=(server, "format_table"), killed_by="DMA-01")
def packs_its_table(table: Broken) -> bytes:
    """Entries of the format table have no padding."""
    whole: bytes = table()
    entries = [whole[at : at + ENTRY_BYTES] for at in range(0, len(whole), ENTRY_BYTES)]
    return b"".join(each[:4] + each[8:] for each in entries[:-1])


@breaks("D4", at=(server, "format_table"), killed_by="DMA-01")
def tells_pairs_twice(table: Broken) -> bytes:
    """A pair is in the format table twice."""
    whole: bytes = table()
    return whole + whole[:ENTRY_BYTES]


@breaks("D5", at=(ZwpLinuxDmabufFeedbackV1, "_send_tranche"), killed_by="DMA-01")
def has_a_main_device_for_ever(
    send: Broken, self: ZwpLinuxDmabufFeedbackV1, flags: int, indices: bytes
) -> None:
    """The main device is told at version 6 as well."""
    if self.version >= 6:
        self.send("main_device", bytes(8))
    send(self, flags, indices)


@breaks("D5", at=(ZwpLinuxDmabufFeedbackV1, "_send_tranche"), killed_by="DMA-01")
def samples_nowhere(send: Broken, self: ZwpLinuxDmabufFeedbackV1, flags: int, indices: bytes) -> None:
    """At version 6 no tranche is for sampling."""
    send(self, flags & 1, indices)


@breaks("D6", at=(ZwpLinuxBufferParamsV1, "set_sampling_device"), killed_by="DMA-04")
def takes_any_device(_set: Broken, self: ZwpLinuxBufferParamsV1, device: bytes) -> None:
    """A sampling device may have any size."""


@breaks("D7", at=(ZwpLinuxBufferParamsV1, "_check"), killed_by="DMA-04")
def takes_any_format(check: Broken, self: ZwpLinuxBufferParamsV1, **image: Any) -> None:
    """A format that was not offered is taken."""
    try:
        check(self, **image)
    except ProtocolError as error:
        if error.code != ParamsEnums.Error.INVALID_FORMAT:
            raise


@breaks("D9", at=(ZwpLinuxBufferParamsV1, "_check"), killed_by="DMA-04")
def takes_any_dimensions(check: Broken, self: ZwpLinuxBufferParamsV1, **image: Any) -> None:
    """A buffer without an extent is taken."""
    try:
        check(self, **image)
    except ProtocolError as error:
        if error.code != ParamsEnums.Error.INVALID_DIMENSIONS:
            raise


@breaks("D9", at=(ZwpLinuxBufferParamsV1, "_check_unused"), killed_by="DMA-04")
def makes_many_buffers_of_one_params(_check: Broken, self: ZwpLinuxBufferParamsV1) -> None:
    """Params that have made a buffer may be used again."""
