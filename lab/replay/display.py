"""What a scenario knows of one KMS device: its objects by symbolic name, and the mode it picked."""

from syncline.kms_model import uapi
from syncline.lab.replay.machine import Call


class Display:
    """crtcN, connN, writebackN and primaryN, overlayN, cursorN, numbered as the kernel enumerates them."""

    def __init__(self) -> None:
        self.objects: dict[str, int] = {}
        self.crtcs: tuple[int, ...] = ()
        self.mode = uapi.ModeInfo("", 0, 0, 0, 0, 0)
        self.mode_blob = 0
        self._property_ids: dict[int, dict[str, int]] = {}

    @classmethod
    async def enumerate(cls, call: Call) -> "Display":
        """Ask the device for everything; raises its DeviceError when it cannot do KMS."""
        display = cls()
        resources = await call(uapi.ModeGetResources())
        display.crtcs = resources.crtcs
        for number, crtc in enumerate(resources.crtcs):
            display.objects[f"crtc{number}"] = crtc
        modes = await display._name_connectors(call, resources.connectors)
        await display._name_planes(call, resources.planes)
        display.mode = min(modes, key=_distance)
        display.mode_blob = (await call(uapi.ModeCreateBlob(uapi.encode_mode(display.mode)))).blob_id
        return display

    async def _name_connectors(self, call: Call, ids: tuple[int, ...]) -> tuple[uapi.ModeInfo, ...]:
        shown: list[uapi.Connector] = []
        names: dict[str, int] = {}
        writebacks = 0
        for connector_id in ids:
            connector = await call(uapi.ModeGetConnector(connector_id))
            if connector.writeback:
                names[f"writeback{writebacks}"] = connector_id
                writebacks += 1
            else:
                names[f"conn{len(shown)}"] = connector_id
                shown.append(connector)
        self.objects |= names
        return shown[0].modes

    async def _name_planes(self, call: Call, ids: tuple[int, ...]) -> None:
        counts = dict.fromkeys(uapi.PlaneType, 0)
        for plane in ids:
            kind = uapi.PlaneType((await self.properties(call, plane))["type"].value)
            self.objects[f"{kind.name.lower()}{counts[kind]}"] = plane
            counts[kind] += 1

    async def properties(self, call: Call, object_id: int) -> dict[str, uapi.PropertyValue]:
        """Current values, by name."""
        reply = await call(uapi.ModeObjGetProperties(object_id))
        values = {value.name: value for value in reply.properties}
        self._property_ids[object_id] = {name: value.prop_id for name, value in values.items()}
        return values

    async def property_id(self, call: Call, object_id: int, name: str) -> int:
        """Raises KeyError when the object has no such property."""
        if object_id not in self._property_ids:
            await self.properties(call, object_id)
        return self._property_ids[object_id][name]


def _distance(mode: uapi.ModeInfo) -> tuple[bool, int, int]:
    """640x480 before all others, then the smallest, then the nearest to 60 Hz."""
    refresh_hz = round(1_000_000_000 / mode.refresh_ns)
    is_other = (mode.hdisplay, mode.vdisplay) != (640, 480)
    return is_other, mode.hdisplay * mode.vdisplay, abs(refresh_hz - 60)
