"""What properties read back as: the software state, except for what is one-shot."""

from syncline.kms_model.kms.objects import (
    NUMBERS,
    Connector,
    ConnectorState,
    Crtc,
    CrtcState,
    ModeObject,
    Plane,
    PlaneState,
)
from syncline.kms_model.kms.property import U64, Catalogue, Property


def read_plane(names: Catalogue, plane: Plane, state: PlaneState, prop: Property) -> int:
    if prop.name in NUMBERS:
        return state.number(prop.name)
    if prop is names.in_fence_fd:
        return -1
    if prop is names.type:
        return plane.kind
    if prop is names.zpos:
        return plane.zpos
    targets: dict[Property, ModeObject | None] = {
        names.fb_id: state.fb,
        names.crtc_id: state.crtc,
        names.fb_damage_clips: state.damage_blob,
        names.in_user_fence: None,
        names.in_formats: plane.in_formats,
    }
    return _id_of(targets[prop])


def read_crtc(names: Catalogue, crtc: Crtc, state: CrtcState, prop: Property) -> int:
    """OUT_FENCE_PTR and OUT_USER_FENCE read 0."""
    del crtc
    if prop is names.active:
        return state.active
    if prop is names.mode_id:
        return _id_of(state.mode_blob)
    if prop is names.vrr_enabled:
        return state.vrr_enabled
    assert prop in (names.out_fence_ptr, names.out_user_fence), f"{prop.name} is no CRTC property"
    return 0


def read_connector(names: Catalogue, connector: Connector, state: ConnectorState, prop: Property) -> int:
    """WRITEBACK_FB_ID and WRITEBACK_OUT_FENCE_PTR read 0."""
    if prop is names.crtc_id:
        return _id_of(state.crtc)
    if prop is names.vrr_capable:
        return connector.output is not None and connector.output.vrr_min_mhz > 0
    if prop is names.writeback_pixel_formats:
        return _id_of(connector.pixel_formats)
    return 0


def read(names: Catalogue, found: ModeObject, prop: Property) -> int:
    """The current value as the 64 bits that OBJ_GETPROPERTIES gives."""
    match found:
        case Plane():
            return read_plane(names, found, found.state, prop) & U64
        case Crtc():
            return read_crtc(names, found, found.state, prop) & U64
        case Connector():
            return read_connector(names, found, found.state, prop) & U64
        case _:
            raise AssertionError("only planes, CRTCs and connectors have properties")


def _id_of(found: ModeObject | None) -> int:
    return 0 if found is None else found.id
