"""What the demos draw: a picture that betrays a frame that is late, torn or out of order."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from syncline.clients.toolkit.options import Options, Size
from syncline.kms_model import raster, tag
from syncline.kms_model.uapi import Blit, Command, Fill, Gradient, Tag, Text

# Okabe and Ito's palette: told apart by everybody, also in grey.
PALETTE: Final = (0xFFE69F00, 0xFF56B4E9, 0xFF009E73, 0xFFF0E442, 0xFF0072B2, 0xFFD55E00, 0xFFCC79A7)
WHITE: Final = 0xFFFFFFFF
INK: Final = 0xFF101018

FONT: Final = 8
BAR_WIDTH: Final = 24
BAR_STEP: Final = 6  # pixels a frame: a skipped frame is seen as a jump


def picture(options: Options, size: Size, frame: int) -> tuple[Command, ...]:
    """Background, a moving bar, who and which frame, and the same frame tag at the top and at the bottom.

    The GPU paints from top to bottom: an image read too early has the new tag above and an old one below.
    """
    width, height = size
    client = options.client_id
    color = PALETTE[client % len(PALETTE)]
    margin = tag.HEIGHT + FONT
    scale = max(1, min(width // (FONT * 14), (height - 2 * margin) // (FONT * 4)))
    bar_x = frame * BAR_STEP % max(1, width - BAR_WIDTH)
    return (
        Gradient(rect=(0, 0, width, height), top=color, bottom=_darker(color)),
        Fill(rect=(bar_x, 0, BAR_WIDTH, height), color=WHITE),
        Text(x=FONT, y=margin, text=options.title, color=INK, scale=scale),
        Text(x=FONT, y=margin + 2 * FONT * scale, text=f"frame {frame}", color=INK, scale=scale),
        Tag(x=0, y=0, client=client, frame=frame, end=tag.TOP),
        Tag(x=0, y=height - tag.HEIGHT, client=client, frame=frame, end=tag.BOTTOM),
    )


def _darker(color: int) -> int:
    """Half of each channel, still opaque."""
    return 0xFF000000 | (color >> 1 & 0x7F7F7F)


def paint_by_cpu(pixels: NDArray[np.uint32], commands: tuple[Command, ...]) -> None:
    """The same picture without the GPU."""
    raster.paint(pixels, commands, _no_source, top=0, bottom=pixels.shape[0])


def _no_source(blit: Blit) -> NDArray[np.uint32]:
    raise AssertionError(f"no demo blits: {blit}")
