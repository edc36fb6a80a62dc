"""What there is, for everybody who asks: resources, connectors, planes and their properties.

Questions take modeset locks as in the kernel, and so they sleep behind a blocking commit.
"""

from errno import EINVAL, ENOENT
from typing import TypeVar

from syncline.kms_model.file import File
from syncline.kms_model.kms.atomic import check_permission
from syncline.kms_model.kms.display import Display
from syncline.kms_model.kms.lock import Deadlock, ModesetLock
from syncline.kms_model.kms.objects import Connector, ModeObject, Plane
from syncline.kms_model.kms.readback import read
from syncline.kms_model.uapi import (
    MODIFIER_LINEAR,
    ClientCap,
    Connector as ConnectorReply,
    DeviceError,
    ModeGetConnector,
    ModeGetPlane,
    ModeGetResources,
    ModeObjGetProperties,
    ObjectProperties,
    PlaneInfo,
    PlaneType,
    PropertyValue,
    Resources,
)

Object = TypeVar("Object", bound=ModeObject)


def find(display: Display, id: int, kind: type[Object]) -> Object:
    """ENOENT: no such object of that kind."""
    found = display.find(id, kind)
    if found is None:
        raise DeviceError(ENOENT, f"no {kind.__name__.lower()} {id}")
    return found


async def look(display: Display, lock: ModesetLock) -> None:
    """Take and drop one lock, uninterruptibly: whoever holds it is waited for."""
    context = display.acquire_context(interruptible=False)
    await context.lock(lock)
    context.release()


def get_resources(display: Display, file: File, _request: ModeGetResources) -> Resources:
    check_permission(file, master=False)
    writebacks = file.has_cap(ClientCap.WRITEBACK_CONNECTORS)
    return Resources(
        crtcs=tuple(crtc.id for crtc in display.crtcs),
        connectors=tuple(
            connector.id for connector in display.connectors if writebacks or not connector.writeback
        ),
        planes=tuple(plane.id for plane in display.planes if _is_listed(plane, file)),
    )


def _is_listed(plane: Plane, file: File) -> bool:
    """Only overlays without UNIVERSAL_PLANES. Virtual machines hide the cursor plane from atomic clients
    that do not know about its hotspot."""
    if not file.has_cap(ClientCap.UNIVERSAL_PLANES):
        return plane.kind is PlaneType.OVERLAY
    hidden = (
        plane.kind is PlaneType.CURSOR
        and file.profile.cursor_hotspot
        and file.has_cap(ClientCap.ATOMIC)
        and not file.has_cap(ClientCap.CURSOR_PLANE_HOTSPOT)
    )
    return not hidden


async def get_connector(display: Display, file: File, request: ModeGetConnector) -> ConnectorReply:
    check_permission(file, master=False)
    connector = find(display, request.connector_id, Connector)
    await look(display, display.connection_lock)
    return ConnectorReply(
        connected=connector.connected,
        name=connector.name,
        writeback=connector.writeback,
        possible_crtcs=tuple(crtc.id for crtc in connector.crtcs),
        modes=connector.modes,
    )


async def get_plane(display: Display, file: File, request: ModeGetPlane) -> PlaneInfo:
    check_permission(file, master=False)
    plane = find(display, request.plane_id, Plane)
    await look(display, plane.lock)
    return PlaneInfo(
        possible_crtcs=tuple(crtc.id for crtc in plane.crtcs),
        formats=plane.formats,
        modifiers=(MODIFIER_LINEAR,),
    )


async def get_properties(display: Display, file: File, request: ModeObjGetProperties) -> ObjectProperties:
    """Takes every lock there is: it sleeps behind any blocking commit. EINVAL: an object without properties.

    A client without the ATOMIC capability is shown no property of atomic commits.
    """
    check_permission(file, master=False)
    found = display.find(request.obj_id, ModeObject)
    if found is None:
        raise DeviceError(ENOENT, f"no object {request.obj_id}")
    if not found.properties:
        raise DeviceError(EINVAL, f"object {request.obj_id} has no properties")
    context = display.acquire_context(interruptible=False)
    while True:
        try:
            await display.lock_all(context)
            break
        except Deadlock as deadlock:
            await context.back_off(deadlock.contended)
    values = tuple(
        PropertyValue(prop_id=prop.id, name=prop.name, value=read(display.catalogue, found, prop))
        for prop in found.properties.values()
        if prop.is_public or file.has_cap(ClientCap.ATOMIC)
    )
    context.release()
    return ObjectProperties(values)
