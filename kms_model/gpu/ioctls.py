"""The render engines: the ioctls of `uapi.gpu`."""

from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from syncline.kms_model.file import File
from syncline.kms_model.kernel import Kernel
from syncline.kms_model.profiles import Profile
from syncline.kms_model.quirks import Quirks
from syncline.kms_model.uapi import Request


class Gpu:
    """The render side of one device."""

    def __init__(self, kernel: Kernel, profile: Profile, quirks: Quirks) -> None:
        self.kernel = kernel
        self.profile = profile
        self.quirks = quirks

    def ioctls(self) -> Mapping[type[Request[Any]], Callable[[File, Any], Any]]:
        return {}

    def file_opened(self, file: File) -> None:
        """Nothing to prepare."""

    def file_closed(self, _file: File) -> Coroutine[Any, Any, None] | None:
        return None
