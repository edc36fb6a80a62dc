"""What came of the requests in one packet: their replies, with our descriptors in them, or an error."""

from collections.abc import Sequence
from errno import EMFILE
from typing import Any

import msgspec

from syncline.kms_model.packet import BatchDone, Done, Failed, close_all, decode_reply, replace_descriptors
from syncline.kms_model.uapi import DeviceError, Request


class Outcome(msgspec.Struct, eq=False):
    """What came of some requests: a reply each, up to the one that failed."""

    replies: list[Any]
    error: DeviceError | None


def outcome_of(
    requests: Sequence[Request[Any]],
    answer: Done[msgspec.Raw] | BatchDone[msgspec.Raw] | Failed,
    fds: list[int],
) -> Outcome:
    """Decode an answer. Takes over `fds`, the descriptors that came with it."""
    if isinstance(answer, Done) and not answer.given:
        return Outcome([decode_reply[type(requests[0])](answer.reply)], None)
    if isinstance(answer, Failed):
        return Outcome([], DeviceError(answer.errno, answer.why, answer.writes))
    if len(fds) < len(answer.given):  # this process has no room for them
        close_all(fds)
        return Outcome([], DeviceError(EMFILE, "too many open files"))
    raw, failed = ((answer.reply,), None) if isinstance(answer, Done) else (answer.replies, answer.failed)
    mine = dict(zip(answer.given, fds, strict=True))
    replies = []
    for request, reply in zip(requests, raw, strict=False):
        record = decode_reply[type(request)](reply)
        replace_descriptors(record, mine, 0)
        replies.append(record)
    error = None if failed is None else DeviceError(failed.errno, failed.why, failed.writes)
    return Outcome(replies, error)
