"""The display as the core programs it: planes and CRTCs with their property numbers, and atomic requests.

A commit names only what changed: a frame that shows another buffer in the same place is one property.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, NamedTuple

from syncline.compositor.core.geometry import Rect
from syncline.kms_model.uapi import (
    AtomicFlag,
    DeviceFile,
    Fd,
    ModeAtomic,
    ModeGetConnector,
    ModeGetPlane,
    ModeGetResources,
    ModeInfo,
    ModeObjGetProperties,
    PlaneType,
)

OUT_FENCE_POINTER: Final = 0x1000
NO_FENCE: Final = Fd(-1)
FIXED_16: Final = 16

Props = list[tuple[int, int, int]]


class Show(NamedTuple):
    """What a plane shows: `source` in 24.8 fixed point buffer pixels, `place` in output pixels."""

    framebuffer: int
    source: Rect
    place: Rect


@dataclass(eq=False, slots=True)
class Plane:
    id: int
    type: PlaneType
    possible_crtcs: tuple[int, ...]
    formats: tuple[int, ...]
    props: dict[str, int]
    shown: Show | None = None
    """As of the last commit that the kernel took."""

    def changes(self, crtc: int, show: Show | None) -> Props:
        """Properties that turn what it shows into `show`."""
        if show is None:
            return [(self.id, self.props["FB_ID"], 0), (self.id, self.props["CRTC_ID"], 0)]
        if self.shown is not None and self.shown[1:] == show[1:]:
            return [(self.id, self.props["FB_ID"], show.framebuffer)]
        values = {"FB_ID": show.framebuffer, "CRTC_ID": crtc}
        for name, value in zip("XYWH", show.source, strict=True):
            values[f"SRC_{name}"] = value << 8
        for name, value in zip("XYWH", show.place, strict=True):
            values[f"CRTC_{name}"] = value & 0xFFFF_FFFF_FFFF_FFFF
        return [(self.id, self.props[name], value) for name, value in values.items()]


@dataclass(eq=False)
class Crtc:
    """A CRTC, the connector it drives, and the planes that are its own, all of them given by `find_crtcs`."""

    id: int
    connector: int
    connector_name: str
    modes: tuple[ModeInfo, ...]
    props: dict[str, int]
    connector_props: dict[str, int]
    planes: list[Plane] = field(default_factory=list)

    def plane(self, kind: PlaneType) -> Plane | None:
        return next((plane for plane in self.planes if plane.type is kind), None)

    @cached_property
    def primary(self) -> Plane:
        primary = self.plane(PlaneType.PRIMARY)
        assert primary is not None, "a CRTC without a primary plane is not used"
        return primary

    @cached_property
    def cursor(self) -> Plane | None:
        return self.plane(PlaneType.CURSOR)

    @cached_property
    def overlays(self) -> list[Plane]:
        return [plane for plane in self.planes if plane.type is PlaneType.OVERLAY]

    @property
    def takes_user_fences(self) -> bool:
        """The properties are there only on a display that can wait for user space (0005)."""
        planes = all("IN_USER_FENCE" in plane.props for plane in self.planes)
        return planes and "OUT_USER_FENCE" in self.props

    def test(self, shows: Mapping[Plane, Show | None]) -> ModeAtomic:
        """Ask whether the kernel could show this; changes nothing."""
        return ModeAtomic(flags=AtomicFlag.TEST_ONLY, props=tuple(self._changes(shows)))

    def flip(
        self,
        shows: Mapping[Plane, Show | None],
        *,
        in_fences: Mapping[Plane, Fd],
        wants_out_fence: bool,
        user_data: int,
        is_torn: bool = False,
        overrides: bool = False,
    ) -> ModeAtomic:
        """The next frame: event always, out-fence if somebody needs it (torn: never, the kernel takes none).

        `overrides`: in place of a parked one.
        """
        props = self._changes(shows)
        for plane, fence in in_fences.items():
            props.append((plane.id, plane.props["IN_FENCE_FD"], fence))
        if wants_out_fence and not is_torn:
            props.append((self.id, self.props["OUT_FENCE_PTR"], OUT_FENCE_POINTER))
        if not props:
            props.append((self.id, self.props["ACTIVE"], 1))  # so that the CRTC is in the commit
        flags = AtomicFlag.NONBLOCK | AtomicFlag.PAGE_FLIP_EVENT
        if is_torn:
            flags |= AtomicFlag.PAGE_FLIP_ASYNC
        if overrides:
            flags |= AtomicFlag.OVERRIDE
        return ModeAtomic(flags=flags, props=tuple(props), user_data=user_data)

    def park(
        self, shows: Mapping[Plane, Show | None], waiting: Plane, *, in_point: int, out_point: int,
        user_data: int, timeout_ns: int,
    ) -> ModeAtomic:  # fmt: skip
        """A frame to be taken once the user point of that plane is reached. Points are blobs."""
        props = self._changes(shows)
        props.append((waiting.id, waiting.props["IN_USER_FENCE"], in_point))
        props.append((self.id, self.props["OUT_USER_FENCE"], out_point))
        flags = AtomicFlag.NONBLOCK | AtomicFlag.PAGE_FLIP_EVENT
        return ModeAtomic(flags=flags, props=tuple(props), user_data=user_data, timeout_ns=timeout_ns)

    def again(self, *, user_data: int) -> ModeAtomic:
        """What it shows already; refused as busy while a flip is pending."""
        flags = AtomicFlag.NONBLOCK | AtomicFlag.PAGE_FLIP_EVENT
        return ModeAtomic(flags=flags, props=((self.id, self.props["ACTIVE"], 1),), user_data=user_data)

    def off(self, *, user_data: int) -> ModeAtomic:
        """No mode, no connector, empty planes; a parked frame is over with it (UR14)."""
        props: Props = [
            (self.id, self.props["ACTIVE"], 0),
            (self.id, self.props["MODE_ID"], 0),
            (self.connector, self.connector_props["CRTC_ID"], 0),
        ]
        props += [prop for plane in self.planes for prop in plane.changes(self.id, None)]
        flags = AtomicFlag.ALLOW_MODESET | AtomicFlag.NONBLOCK | AtomicFlag.PAGE_FLIP_EVENT
        if self.takes_user_fences:
            flags |= AtomicFlag.OVERRIDE
        return ModeAtomic(flags=flags, props=tuple(props), user_data=user_data)

    def light(self, show: Show, *, mode_blob: int, in_fence: Fd, user_data: int) -> ModeAtomic:
        """Set the mode with the first image."""
        props: Props = [
            (self.id, self.props["MODE_ID"], mode_blob),
            (self.id, self.props["ACTIVE"], 1),
            (self.connector, self.connector_props["CRTC_ID"], self.id),
        ]
        props += self.primary.changes(self.id, show)
        props.append((self.primary.id, self.primary.props["IN_FENCE_FD"], in_fence))
        flags = AtomicFlag.ALLOW_MODESET | AtomicFlag.NONBLOCK | AtomicFlag.PAGE_FLIP_EVENT
        return ModeAtomic(flags=flags, props=tuple(props), user_data=user_data)

    def _changes(self, shows: Mapping[Plane, Show | None]) -> Props:
        props: Props = []
        for plane, show in shows.items():
            if plane.shown != show:
                props += plane.changes(self.id, show)
        return props

    def taken(self, shows: Mapping[Plane, Show | None]) -> None:
        """The kernel took the commit."""
        for plane, show in shows.items():
            plane.shown = show

    def forget(self, planes: Iterable[Plane]) -> None:
        """What these show is not known: the next commit says all of it."""
        for plane in planes:
            plane.shown = None


def _properties(device: DeviceFile, object_id: int) -> dict[str, int]:
    found = device.call(ModeObjGetProperties(obj_id=object_id)).properties
    return {prop.name: prop.prop_id for prop in found}


def _plane(device: DeviceFile, plane_id: int) -> Plane:
    info = device.call(ModeGetPlane(plane_id=plane_id))
    found = device.call(ModeObjGetProperties(obj_id=plane_id)).properties
    kind = next(PlaneType(prop.value) for prop in found if prop.name == "type")
    return Plane(plane_id, kind, info.possible_crtcs, info.formats, {p.name: p.prop_id for p in found})


def find_crtcs(device: DeviceFile, *, kept: Mapping[int, int], busy: Collection[int]) -> list[Crtc]:
    """One CRTC for every connected connector, each with planes no other has, in the kernel's order.

    `kept`: connectors and the CRTCs that they have. `busy`: CRTCs that nobody can have now; who could have only
    those has to wait.
    """
    resources = device.call(ModeGetResources())
    found: list[Crtc] = []
    for connector_id in resources.connectors:
        connector = device.call(ModeGetConnector(connector_id=connector_id))
        taken = {crtc.id for crtc in found} | {*kept.values()} | {*busy}
        free = next((crtc for crtc in connector.possible_crtcs if crtc not in taken), None)
        crtc_id = kept.get(connector_id, free)
        if connector.connected and connector.modes and not connector.writeback and crtc_id is not None:
            props = _properties(device, crtc_id), _properties(device, connector_id)
            found.append(Crtc(crtc_id, connector_id, connector.name, connector.modes, *props))
    for plane_id in resources.planes:
        _give(_plane(device, plane_id), found)
    return [crtc for crtc in found if crtc.plane(PlaneType.PRIMARY) is not None]


def _give(plane: Plane, crtcs: list[Crtc]) -> None:
    """To the CRTC that has fewest of its type: planes that could serve several are shared out evenly."""
    able = [crtc for crtc in crtcs if crtc.id in plane.possible_crtcs]
    if able:
        poorest = min(able, key=lambda crtc: sum(own.type is plane.type for own in crtc.planes))
        poorest.planes.append(plane)
