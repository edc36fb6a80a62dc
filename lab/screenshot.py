"""`syncline screenshot`: an ext-image-copy-capture client that photographs one output into shared memory."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, ClassVar, Final

import numpy as np
from cyclopts import Parameter
from numpy.typing import NDArray

from syncline.clients.toolkit.display import Display
from syncline.clients.toolkit.loop import ClientError, Context
from syncline.clients.toolkit.options import Options
from syncline.clients.toolkit.shm import ShmBuffer
from syncline.kms_model.loops import NS_PER_S, RealLoop, run_real
from syncline.lab.exit import PASS, Usage
from syncline.lab.png import encode_png
from syncline.protocol.object import NewId, Proxy
from syncline.protocol.transport.unix import connect

Pixels = NDArray[np.uint32]

PATIENCE_NS: Final = 5 * NS_PER_S
"""A compositor that has drawn nothing for this long draws nothing at all."""
NO_OPTIONS: Final = 0


class Output(Proxy):
    interface = "wl_output"
    up_to = 4
    ignored: ClassVar[tuple[str, ...]] = ("geometry", "mode", "done", "scale", "name", "description")


class SourceManager(Proxy):
    interface = "ext_output_image_capture_source_manager_v1"


class Source(Proxy):
    interface = "ext_image_capture_source_v1"


class CaptureManager(Proxy):
    interface = "ext_image_copy_capture_manager_v1"


class Session(Proxy):
    """What a frame must look like; `size` is known once it is `described`."""

    interface = "ext_image_copy_capture_session_v1"
    ignored: ClassVar[tuple[str, ...]] = ("shm_format", "dmabuf_device", "dmabuf_format")

    def __init__(self, new: NewId, context: Context) -> None:
        super().__init__(new)
        self._context = context
        self.size = (0, 0)
        self.described = False

    def buffer_size(self, width: int, height: int) -> None:
        self.size = (width, height)

    def done(self) -> None:
        self.described = True
        self._context.beat()

    def stopped(self) -> None:
        self._context.fail(ClientError("the compositor stopped the capture"))


class Frame(Proxy):
    interface = "ext_image_copy_capture_frame_v1"
    ignored: ClassVar[tuple[str, ...]] = ("transform", "damage", "presentation_time")

    def __init__(self, new: NewId, context: Context) -> None:
        super().__init__(new)
        self._context = context
        self.taken = False

    def ready(self) -> None:
        self.taken = True
        self._context.beat()

    def failed(self, reason: int) -> None:
        self._context.fail(ClientError(f"the compositor could not capture (reason {reason})"))


async def photograph(context: Context) -> Pixels:
    """The first output's next frame as XRGB8888. Raises ClientError."""
    async with Display(context) as display:
        source = display.bind(SourceManager).request_new("create_source", Source, display.bind(Output))
        manager = display.bind(CaptureManager)
        session = manager.request_new("create_session", lambda new: Session(new, context), source, NO_OPTIONS)
        await _patiently(context, lambda: session.described)
        buffer = ShmBuffer(display, session.size)
        frame = session.request_new("create_frame", lambda new: Frame(new, context))
        frame.send("attach_buffer", buffer.wl)
        frame.send("damage_buffer", 0, 0, *session.size)
        frame.send("capture")
        await _patiently(context, lambda: frame.taken)
        return buffer.pixels.copy()
    raise ClientError("the capture was interrupted")


async def _patiently(context: Context, condition: Callable[[], bool]) -> None:
    if not await context.until(condition, deadline_ns=context.now_ns() + PATIENCE_NS):
        raise ClientError(f"the compositor did not answer within {PATIENCE_NS // NS_PER_S} s")


def screenshot(
    file: Annotated[Path, Parameter(help="The PNG file to write.")],
    /,
    *,
    socket: Annotated[
        str, Parameter(help="Name or path of the Wayland socket; $WAYLAND_DISPLAY if not given.")
    ] = "",
) -> int:
    """Photograph the first output of a running compositor."""
    path = _socket_path(socket)

    async def main(loop: RealLoop) -> Pixels:
        context = Context(loop=loop, transport=connect(loop, path), device=None, options=Options())
        return await photograph(context)

    try:
        pixels = run_real(main)
    except OSError as refused:
        raise Usage(
            f"no compositor answers at {path} ({refused.strerror}): start one, or name its --socket"
        ) from None
    except ClientError as error:
        raise Usage(f"no photograph: {error}") from None
    try:
        file.write_bytes(encode_png(pixels))
    except OSError as error:
        raise Usage(f"cannot write {file}: {error.strerror}") from None
    return PASS


def _socket_path(name: str) -> Path:
    name = name or os.environ.get("WAYLAND_DISPLAY", "")
    if not name:
        raise Usage("no Wayland socket: set WAYLAND_DISPLAY, or name one with --socket")
    return Path(os.environ.get("XDG_RUNTIME_DIR", "/run")) / name  # an absolute name wins
