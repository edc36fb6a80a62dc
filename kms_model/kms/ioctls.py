"""The display's door: every mode setting ioctl, and what happens when files come and go."""

from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any

from syncline.kms_model.file import File
from syncline.kms_model.kernel import Kernel
from syncline.kms_model.kms import inventory, sequence
from syncline.kms_model.kms.atomic import atomic, check_permission
from syncline.kms_model.kms.display import Display
from syncline.kms_model.kms.flip import page_flip
from syncline.kms_model.kms.framebuffers import Framebuffers
from syncline.kms_model.kms.pending import cancel_of
from syncline.kms_model.kms.view import CrtcView
from syncline.kms_model.profiles import Profile
from syncline.kms_model.quirks import Quirks
from syncline.kms_model.uapi import (
    BlobReply,
    CrtcGetSequence,
    FbReply,
    ModeAddFb2,
    ModeAtomic,
    ModeCreateBlob,
    ModeDestroyBlob,
    ModeGetConnector,
    ModeGetPlane,
    ModeGetResources,
    ModeObjGetProperties,
    ModePageFlip,
    ModeRmFb,
    Request,
    WaitVblank,
)


class Kms:
    """The mode setting half of a device."""

    def __init__(self, kernel: Kernel, profile: Profile, quirks: Quirks) -> None:
        self.display = Display(kernel, profile, quirks)
        self._framebuffers = Framebuffers(self.display)

    def ioctls(self) -> Mapping[type[Request[Any]], Callable[[File, Any], Any]]:
        display = self.display
        return {
            ModeGetResources: partial(inventory.get_resources, display),
            ModeGetConnector: partial(inventory.get_connector, display),
            ModeGetPlane: partial(inventory.get_plane, display),
            ModeObjGetProperties: partial(inventory.get_properties, display),
            CrtcGetSequence: partial(sequence.get_sequence, display),
            WaitVblank: partial(sequence.wait_vblank, display),
            ModeAtomic: partial(atomic, display),
            ModePageFlip: partial(page_flip, display),
            ModeAddFb2: self.add_framebuffer,
            ModeRmFb: self.remove_framebuffer,
            ModeCreateBlob: self.create_blob,
            ModeDestroyBlob: self.destroy_blob,
        }

    def file_opened(self, file: File) -> None:
        self._framebuffers.open(file)

    def file_closed(self, file: File) -> Coroutine[Any, Any, None] | None:
        """drm_fb_release: framebuffers still in use come off the screen, and close(2) waits for that."""
        self._framebuffers.cancel_parked(file)
        used = self._framebuffers.used_by(file)
        self._framebuffers.drop_unused(file)
        return self._framebuffers.take_off_screens(used) if used else None

    def master_dropped(self, file: File) -> None:
        """UR14."""
        cancel_of(self.display, file)

    def view(self) -> tuple[CrtcView, ...]:
        """What every CRTC shows now, and what is on its way there. For onlookers."""
        return self.display.view()

    def add_framebuffer(self, file: File, request: ModeAddFb2) -> FbReply:
        check_permission(file, master=False)
        return FbReply(self._framebuffers.add(file, request).id)

    def remove_framebuffer(self, file: File, request: ModeRmFb) -> Coroutine[Any, Any, None] | None:
        """Sleeps only while the framebuffer is on a screen or on its way there."""
        check_permission(file, master=False)
        return self._framebuffers.remove(file, request.fb_id)

    def create_blob(self, file: File, request: ModeCreateBlob) -> BlobReply:
        check_permission(file, master=False)
        return BlobReply(self._framebuffers.add_blob(file, request.data).id)

    def destroy_blob(self, file: File, request: ModeDestroyBlob) -> None:
        check_permission(file, master=False)
        self._framebuffers.remove_blob(file, request.blob_id)
