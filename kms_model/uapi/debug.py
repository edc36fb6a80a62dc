"""What a debug node is asked: there is one only if the device was started for it, and only for its owner.

A kernel has these as files of debugfs (fault-injection.rst), which are root's.
"""

from syncline.kms_model.uapi.door import Request

DEBUG_NODE = "debug"
"""In the place of "card" or "render"."""


class InjectFault(Request[None], frozen=True):
    """Something will go wrong; how that is written is in kms_model/faults.py. EINVAL: not like this."""

    fault: str


class ClearFaults(Request[None], frozen=True):
    """Nothing goes wrong any more. What has happened stays: a pulled cable, an unplugged device."""
