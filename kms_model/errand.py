"""A batch on its way through a node: what is still to do, and what has come of it so far."""

from collections import deque
from typing import Any

import msgspec

from syncline.kms_model.packet import Failed, descriptors_in
from syncline.kms_model.task import Pending
from syncline.kms_model.uapi import DeviceError, Request


class Errand(msgspec.Struct, eq=False):
    """Owns the descriptors lent to it, and those in its replies until they are sent."""

    serial: int
    lent: list[int]
    requests: deque[Request[Any]]
    replies: list[Any] = []
    given: list[int] = []
    failed: Failed | None = None

    def note(self, pending: Pending[Any]) -> None:
        """Take the result of a call that is done."""
        try:
            reply = pending.result()
        except DeviceError as error:
            self.failed = failure(self.serial, error)
        else:
            self.replies.append(reply)
            self.given += descriptors_in(reply, 0)


def failure(serial: int, error: DeviceError) -> Failed:
    """How a refusal travels."""
    return Failed(serial, error.errno, error.why, error.writes)
