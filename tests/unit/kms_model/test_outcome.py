import os
from errno import EINVAL, EMFILE
from pathlib import Path

from syncline.kms_model.outcome import outcome_of
from syncline.kms_model.packet import BatchDone, Done, Down, Failed, decode_down, encode
from syncline.kms_model.uapi import Fd, FdReply, HandleReply, SyncobjCreate, SyncobjHandleToFd


def arrived(answer: Down) -> Done | BatchDone | Failed:
    """The answer as it comes out of a packet."""
    decoded = decode_down(memoryview(encode(answer)))
    assert isinstance(decoded, Done | BatchDone | Failed)
    return decoded


def test_a_reply_names_the_callers_own_descriptor() -> None:
    mine = os.dup(0)

    outcome = outcome_of((SyncobjHandleToFd(1),), arrived(Done(1, FdReply(Fd(55)), (55,))), [mine])

    assert outcome.replies == [FdReply(Fd(mine))]
    assert outcome.error is None
    os.close(mine)


def test_descriptors_for_which_there_was_no_room_are_emfile_and_those_that_came_are_closed() -> None:
    batch = BatchDone(1, (FdReply(Fd(55)), FdReply(Fd(56))), None, (55, 56))
    before = len(list(Path("/proc/self/fd").iterdir()))

    outcome = outcome_of((SyncobjHandleToFd(1), SyncobjHandleToFd(2)), arrived(batch), [os.dup(0)])

    assert outcome.replies == []
    assert outcome.error is not None
    assert outcome.error.errno == EMFILE
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_batch_that_failed_brings_the_replies_before_its_error() -> None:
    batch = BatchDone(1, (HandleReply(4),), Failed(1, EINVAL, "no", ((7, -1),)))

    outcome = outcome_of((SyncobjCreate(), SyncobjCreate(9)), arrived(batch), [])

    assert outcome.replies == [HandleReply(4)]
    assert outcome.error is not None
    assert (outcome.error.errno, outcome.error.writes) == (EINVAL, ((7, -1),))
