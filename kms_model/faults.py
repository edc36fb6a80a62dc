"""Faults on purpose: off until somebody asks, and the same ones every time (like fail-nth of fault-injection.rst)."""

from errno import ENOMEM

from syncline.kms_model.uapi import DeviceError


class Faults:
    """What goes wrong in one kernel."""

    __slots__ = ("allocation",)

    def __init__(self) -> None:
        self.allocation = 0
        """The n-th allocation from now on fails, once. 0: none does, or it has."""

    def allocate(self, what: str) -> None:
        """Called where a real syncobj ioctl allocates, before it has any effect. ENOMEM."""
        if self.allocation:
            self.allocation -= 1
            if not self.allocation:
                raise DeviceError(ENOMEM, f"no memory for {what}")
