"""What the display of the tester's device is set to."""

from typing import Final

from syncline.conformance.device import Device
from syncline.conformance.verdict import Skip
from syncline.kms_model.uapi import (
    ClientCap,
    DeviceError,
    ModeGetResources,
    ModeObjGetProperties,
    SetClientCap,
)

NO_DISPLAY: Final = "a display that can be read back: a Syncline device node"


def varies(device: Device) -> bool:
    """Some CRTC refreshes when there is something to show (VRR_ENABLED). Raises Skip."""
    call = device.file.call
    try:
        call(SetClientCap(capability=ClientCap.ATOMIC))
        crtcs = call(ModeGetResources()).crtcs
    except DeviceError:
        raise Skip(NO_DISPLAY) from None
    properties = [each for crtc in crtcs for each in call(ModeObjGetProperties(obj_id=crtc)).properties]
    return any(each.value for each in properties if each.name == "VRR_ENABLED")
