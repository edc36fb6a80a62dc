"""KMS properties: names, kinds and which values the core lets through (drm_property.c)."""

from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

from syncline.kms_model.uapi import ObjectType

U64: Final = (1 << 64) - 1
_SIGN: Final = 1 << 63
_U32: Final = (1 << 32) - 1
_INT_MAX: Final = (1 << 31) - 1
_INT_MIN: Final = -(1 << 31)


PUBLIC: Final = frozenset({"type", "IN_FORMATS", "zpos", "VRR_ENABLED", "vrr_capable"})


class Kind(Enum):
    RANGE = auto()
    SIGNED_RANGE = auto()
    ENUM = auto()
    BLOB = auto()
    OBJECT = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Property:
    """One property, shared by every object that has it. `target` is what an OBJECT property names."""

    id: int
    name: str
    kind: Kind
    low: int = 0
    high: int = 0
    target: ObjectType | None = None
    immutable: bool = False

    @property
    def is_public(self) -> bool:
        """Clients without the ATOMIC capability see it, too (no DRM_MODE_PROP_ATOMIC)."""
        return self.name in PUBLIC

    def in_range(self, value: int) -> bool:
        """For plain numbers; objects and blobs are looked up by whoever knows them."""
        if self.kind is Kind.SIGNED_RANGE:
            return self.low <= signed(value) <= self.high
        return self.low <= value <= self.high


def signed(value: int) -> int:
    """U642I64."""
    value &= U64
    return value - (1 << 64) if value & _SIGN else value


class Catalogue:
    """The standard properties of a mode setting device. Ids come first, as drm_mode_config_init makes them."""

    def __init__(self, first_id: int, *, user_fences: bool = False) -> None:
        self._next_id = first_id

        self.type = self._add("type", Kind.ENUM, high=2, immutable=True)
        self.in_formats = self._add("IN_FORMATS", Kind.BLOB, immutable=True)
        self.zpos = self._add("zpos", Kind.RANGE, high=_U32, immutable=True)
        self.fb_id = self._add("FB_ID", Kind.OBJECT, target=ObjectType.FB)
        self.crtc_id = self._add("CRTC_ID", Kind.OBJECT, target=ObjectType.CRTC)
        self.src_x = self._add("SRC_X", Kind.RANGE, high=_U32)
        self.src_y = self._add("SRC_Y", Kind.RANGE, high=_U32)
        self.src_w = self._add("SRC_W", Kind.RANGE, high=_U32)
        self.src_h = self._add("SRC_H", Kind.RANGE, high=_U32)
        self.crtc_x = self._add("CRTC_X", Kind.SIGNED_RANGE, low=_INT_MIN, high=_INT_MAX)
        self.crtc_y = self._add("CRTC_Y", Kind.SIGNED_RANGE, low=_INT_MIN, high=_INT_MAX)
        self.crtc_w = self._add("CRTC_W", Kind.RANGE, high=_INT_MAX)
        self.crtc_h = self._add("CRTC_H", Kind.RANGE, high=_INT_MAX)
        self.in_fence_fd = self._add("IN_FENCE_FD", Kind.SIGNED_RANGE, low=-1, high=_INT_MAX)
        self.fb_damage_clips = self._add("FB_DAMAGE_CLIPS", Kind.BLOB)
        self.mode_id = self._add("MODE_ID", Kind.BLOB)
        self.active = self._add("ACTIVE", Kind.RANGE, high=1)
        self.out_fence_ptr = self._add("OUT_FENCE_PTR", Kind.RANGE, high=U64)
        self.vrr_enabled = self._add("VRR_ENABLED", Kind.RANGE, high=1)
        self.vrr_capable = self._add("vrr_capable", Kind.RANGE, high=1, immutable=True)
        self.writeback_fb_id = self._add("WRITEBACK_FB_ID", Kind.OBJECT, target=ObjectType.FB)
        self.writeback_out_fence_ptr = self._add("WRITEBACK_OUT_FENCE_PTR", Kind.RANGE, high=U64)

        self.writeback_pixel_formats = self._add("WRITEBACK_PIXEL_FORMATS", Kind.BLOB, immutable=True)
        self.in_user_fence = self._add("IN_USER_FENCE", Kind.BLOB)
        self.out_user_fence = self._add("OUT_USER_FENCE", Kind.BLOB)

        self.of_plane: tuple[Property, ...] = (
            self.type, self.fb_id, self.in_fence_fd, self.crtc_id, self.crtc_x, self.crtc_y, self.crtc_w,
            self.crtc_h, self.src_x, self.src_y, self.src_w, self.src_h, self.fb_damage_clips,
            self.in_formats, self.zpos,
        )  # fmt: skip
        self.of_crtc: tuple[Property, ...] = (self.active, self.mode_id, self.out_fence_ptr, self.vrr_enabled)
        if user_fences:
            self.of_plane += (self.in_user_fence,)
            self.of_crtc += (self.out_user_fence,)
        self.of_connector = (self.crtc_id, self.vrr_capable)
        self.of_writeback = (
            self.crtc_id, self.writeback_fb_id, self.writeback_out_fence_ptr, self.writeback_pixel_formats,
        )  # fmt: skip

    def _add(
        self,
        name: str,
        kind: Kind,
        *,
        low: int = 0,
        high: int = 0,
        target: ObjectType | None = None,
        immutable: bool = False,
    ) -> Property:
        made = Property(
            id=self._next_id, name=name, kind=kind, low=low, high=high, target=target, immutable=immutable
        )
        self._next_id += 1
        return made

    @property
    def next_id(self) -> int:
        return self._next_id
