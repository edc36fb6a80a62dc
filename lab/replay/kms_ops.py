"""Mode setting operations of the scenario format."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import ClassVar, Final

import msgspec

from syncline.kms_model import uapi
from syncline.lab.replay.display import Display
from syncline.lab.replay.operation import U32, U64, FlaggedOp, Op, Operand, Out, signed64
from syncline.lab.replay.process import Fault, Process, Refusal, Skip

COMMIT_FLAGS: Final[Mapping[str, int]] = {
    "EVENT": uapi.AtomicFlag.PAGE_FLIP_EVENT,
    "ASYNC": uapi.AtomicFlag.PAGE_FLIP_ASYNC,
    "TEST_ONLY": uapi.AtomicFlag.TEST_ONLY,
    "NONBLOCK": uapi.AtomicFlag.NONBLOCK,
    "ALLOW_MODESET": uapi.AtomicFlag.ALLOW_MODESET,
}
FIRST_POINTER: Final = 0x7000_0000_0000
FOURCC_LETTERS: Final = 4


class ObjectValue(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """The property's value is an object's id (`{"obj"}`), a pointer for an out-fence, or a bad pointer."""

    obj: str | None = None
    out_fence: str | None = None
    bad_ptr: int | None = None

    def __post_init__(self) -> None:
        if sum(field is not None for field in (self.obj, self.out_fence, self.bad_ptr)) != 1:
            raise ValueError("exactly one of obj, out_fence and bad_ptr is needed")


class KmsOpen(Op, frozen=True, kw_only=True, tag="kms_open"):
    """Open the card, set the caps, name the objects, pick a mode; `needs` skips devices without them."""

    device: str = "$DEV"
    atomic: bool = True
    writeback: bool = False
    needs: tuple[str, ...] = ()

    async def run(self, process: Process) -> Out:
        if self.bind is None:
            raise Fault("kms_open needs a name to bind its device to (as)")
        process.open(self.device, "card", self.bind)
        await self._set_caps(process, self.bind)
        display = await Display.enumerate(process.caller(self.bind))
        process.displays[self.bind] = display
        for name, object_id in display.objects.items():
            process.bind(f"{self.bind}.{name}", object_id)
        for need in self.needs:
            if need not in display.objects:
                raise Skip(f"no {need} on {process.device}")
        return {"objects": sorted(display.objects)}

    async def _set_caps(self, process: Process, dev: str) -> None:
        await process.ioctl(dev, uapi.SetClientCap(uapi.ClientCap.UNIVERSAL_PLANES))
        if self.atomic:
            await process.ioctl(dev, uapi.SetClientCap(uapi.ClientCap.ATOMIC))
            with suppress(
                uapi.DeviceError
            ):  # virtual drivers hide their cursor without it; others do not know it
                await process.ioctl(dev, uapi.SetClientCap(uapi.ClientCap.CURSOR_PLANE_HOTSPOT))
        if self.writeback:
            await process.ioctl(dev, uapi.SetClientCap(uapi.ClientCap.WRITEBACK_CONNECTORS))


class FbCreate(Op, frozen=True, kw_only=True, tag="fb_create"):
    """Binds the framebuffer, and its buffer as NAME.bo."""

    dev: str
    size: tuple[int, int] | None = None
    bo: Operand | None = None
    format: str = "XR24"

    def __post_init__(self) -> None:
        if len(self.format) != FOURCC_LETTERS:
            raise ValueError(f"format {self.format!r} is not a fourcc")

    async def run(self, process: Process) -> None:
        if self.bind is None:
            raise Fault("fb_create needs a name to bind its framebuffer to (as)")
        mode = process.display(self.dev).mode
        width, height = self.size or (mode.hdisplay, mode.vdisplay)
        if self.bo is None:
            dumb = await process.ioctl(self.dev, uapi.CreateDumb(width, height))
            handle, pitch = dumb.handle, dumb.pitch
        else:
            handle, pitch = process.number(self.bo), width * 4
        fourcc = int.from_bytes(self.format.encode("ascii"), "little")
        request = uapi.ModeAddFb2(width, height, fourcc, handle, pitch)
        framebuffer = (await process.ioctl(self.dev, request)).fb_id
        process.bind(self.bind, framebuffer)
        process.bind(f"{self.bind}.bo", handle)
        process.framebuffers[framebuffer] = self.bind


class FbRemove(Op, frozen=True, kw_only=True, tag="fb_remove"):
    dev: Operand
    fb: Operand

    async def run(self, process: Process) -> None:
        await process.ioctl(self.dev, uapi.ModeRmFb(process.number(self.fb) & U32))


class PageFlip(FlaggedOp, frozen=True, kw_only=True, tag="page_flip"):
    NAMES: ClassVar[Mapping[str, int]] = COMMIT_FLAGS

    dev: str
    fb: Operand
    user_data: int = 0

    async def run(self, process: Process) -> None:
        crtc = process.display(self.dev).crtcs[0]
        request = uapi.ModePageFlip(crtc, process.number(self.fb) & U32, self.bits, self.user_data & U64)
        await process.ioctl(self.dev, request)


Property = tuple[Operand, Operand, int | str | ObjectValue]


class Atomic(FlaggedOp, frozen=True, kw_only=True, tag="atomic"):
    """`props` in ioctl order; what was written through every OUT_FENCE_PTR is reported, also on failure."""

    NAMES: ClassVar[Mapping[str, int]] = COMMIT_FLAGS

    dev: str
    props: tuple[Property, ...]
    user_data: int = 0
    reserved: int = 0

    async def run(self, process: Process) -> Out:
        pointers: dict[int, str] = {}
        props = [await self._resolve(process, entry, pointers) for entry in self.props]
        request = uapi.ModeAtomic(self.bits, tuple(props), self.user_data & U64, self.reserved & U64)
        try:
            reply = await process.ioctl(self.dev, request)
        except uapi.DeviceError as refused:
            raise Refusal(refused.errno, _written(process, pointers, refused.writes)) from refused
        return _written(process, pointers, reply.out_fences)

    async def _resolve(
        self, process: Process, entry: Property, pointers: dict[int, str]
    ) -> tuple[int, int, int]:
        target, prop, value = entry
        if isinstance(target, int):
            object_id = target
            if isinstance(prop, str):
                raise Fault(
                    f"property {prop!r} of object number {target}: only named objects have named properties"
                )
            prop_id = prop
        else:
            display = process.display(self.dev)
            object_id = _object(display, target)
            prop_id = await self._property_id(process, display, object_id, prop)
        return object_id, prop_id, self._value(process, value, pointers)

    async def _property_id(self, process: Process, display: Display, object_id: int, prop: Operand) -> int:
        if isinstance(prop, int):
            return prop
        try:
            return await display.property_id(process.caller(self.dev), object_id, prop)
        except KeyError:
            raise Fault(f"no property {prop!r} on object {object_id}") from None

    def _value(self, process: Process, value: int | str | ObjectValue, pointers: dict[int, str]) -> int:
        if isinstance(value, int):
            return signed64(value)
        if isinstance(value, str):
            mode_value = _mode_value(process.displays.get(self.dev), value)
            return process.number(value) if mode_value is None else mode_value
        if value.obj is not None:
            return _object(process.display(self.dev), value.obj)
        if value.out_fence is None:
            return uapi.BAD_POINTER
        pointer = FIRST_POINTER + 8 * len(pointers)
        pointers[pointer] = value.out_fence
        return pointer


def _object(display: Display, name: str) -> int:
    if name not in display.objects:
        raise Fault(f"no object {name!r}")
    return display.objects[name]


def _mode_value(display: Display | None, word: str) -> int | None:
    if display is None or not word.startswith("@"):
        return None
    mode = display.mode
    return {
        "@W": mode.hdisplay,
        "@H": mode.vdisplay,
        "@W16": mode.hdisplay << 16,
        "@H16": mode.vdisplay << 16,
        "@MODE": display.mode_blob,
    }.get(word)


def _written(process: Process, pointers: Mapping[int, str], writes: Sequence[tuple[int, int]]) -> Out:
    """What each pointer holds now; a descriptor is bound to the pointer's symbol."""
    if not pointers:
        return {}
    memory = dict(writes)
    out: Out = {}
    for pointer, name in pointers.items():
        value = memory.get(pointer)
        if value is not None and value >= 0:
            process.bind_fd(name, value)
        out[name] = "untouched" if value is None else "fd" if value >= 0 else value
    return {"out_fences": out}


class KmsGet(Op, frozen=True, kw_only=True, tag="kms_get"):
    """Current property values; framebuffers and CRTCs by their names."""

    dev: str
    props: tuple[tuple[str, str], ...]

    async def run(self, process: Process) -> Out:
        display = process.display(self.dev)
        call = process.caller(self.dev)
        values: list[tuple[str, str, int | str]] = []
        for name, prop in self.props:
            current = await display.properties(call, _object(display, name))
            if prop not in current:
                raise Fault(f"no property {prop!r} on {name}")
            values.append((name, prop, self._named(process, prop, current[prop].value)))
        return {"values": [list(value) for value in values]}

    def _named(self, process: Process, prop: str, value: int) -> int | str:
        if prop == "FB_ID" and value in process.framebuffers:
            return process.framebuffers[value]
        crtcs = process.display(self.dev).crtcs
        if prop == "CRTC_ID" and value in crtcs:
            return f"crtc{crtcs.index(value)}"
        return signed64(value)


class DrmRead(Op, frozen=True, kw_only=True, tag="drm_read"):
    """One read(2) of the DRM descriptor after polling it."""

    dev: Operand
    timeout_ms: float = 0

    async def run(self, process: Process) -> Out:
        fd = process.fd(self.dev)
        await process.threads.until(lambda: bool(process.poll(fd, ("IN",))), timeout_ms=self.timeout_ms)
        return {"events": process.read_events(self.dev)}


class TimeCompare(Op, frozen=True, kw_only=True, tag="time_compare"):
    """Two saved kernel timestamps, in the microseconds that events carry."""

    a: str
    b: str

    async def run(self, process: Process) -> Out:
        a_us, b_us = process.saved_us(self.a), process.saved_us(self.b)
        relation = "a<b" if a_us < b_us else "a>b" if a_us > b_us else "equal"
        return {"relation": relation, "within_1ms": abs(a_us - b_us) < 1000}
