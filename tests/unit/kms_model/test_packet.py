import os

import msgspec
import pytest
from hypothesis import given, strategies as st

from syncline.kms_model import packet, uapi
from syncline.kms_model.packet import BAD_FD, Call, Done, decode_down, decode_up, encode
from syncline.kms_model.uapi import (
    AtomicReply,
    Fd,
    FdReply,
    Fill,
    ModeAtomic,
    PrimeFdToHandle,
    Submit,
    SubmitReply,
    SyncFileMerge,
    SyncobjCreate,
    SyncobjEventfd,
)

FENCE_PROPERTY = 14


def sent(request: uapi.Request[object]) -> uapi.Request[object]:
    """The request as the node decodes it."""
    arrived = decode_up(memoryview(encode(Call(1, request))))
    assert isinstance(arrived, Call)
    decoded: uapi.Request[object] = arrived.request
    return decoded


@pytest.mark.parametrize(
    ("record", "numbers"),
    [
        (SyncobjCreate(), []),
        (PrimeFdToHandle(Fd(7)), [7]),
        (SyncFileMerge(Fd(7), Fd(9)), [7, 9]),
        (SyncFileMerge(Fd(7), Fd(7)), [7]),
        (SyncobjEventfd(1, 2, Fd(-1)), []),
        (SyncobjEventfd(1, 2, Fd(1 << 40)), []),
        (Submit(1, (1, 1), 4, (Fill((0, 0, 1, 1), 0),), 0, in_fence=Fd(5)), [5]),
        (SubmitReply(1, Fd(-1)), []),
        (AtomicReply(((1, Fd(4)), (2, Fd(-1)), (3, Fd(6)))), [4, 6]),
        (ModeAtomic(0, ((30, FENCE_PROPERTY, 8), (30, 15, 9), (31, FENCE_PROPERTY, (1 << 64) - 1))), [8]),
        (FdReply(Fd(0)), [0]),
    ],
)
def test_the_descriptors_of_a_record_are_found_by_its_annotations(record: object, numbers: list[int]) -> None:
    assert packet.descriptors_in(record, FENCE_PROPERTY) == numbers


def test_without_mode_setting_no_property_is_a_descriptor() -> None:
    assert packet.descriptors_in(ModeAtomic(0, ((30, FENCE_PROPERTY, 8),)), 0) == []


def test_the_receivers_numbers_take_the_place_of_the_senders() -> None:
    request = sent(SyncFileMerge(Fd(7), Fd(9)))

    packet.replace_descriptors(request, {7: 100, 9: 101}, FENCE_PROPERTY)

    assert request == SyncFileMerge(Fd(100), Fd(101))


def test_a_number_that_came_without_its_descriptor_is_bad_and_not_none() -> None:
    request = sent(Submit(1, (1, 1), 4, (), 0, in_fence=Fd(5)))

    packet.replace_descriptors(request, {}, FENCE_PROPERTY)

    assert isinstance(request, Submit)
    assert request.in_fence == BAD_FD
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(request.in_fence)


def test_negative_and_oversized_numbers_reach_the_device_as_they_are() -> None:
    props = tuple((30, FENCE_PROPERTY, value) for value in (-1, -2, 1 << 31, 1 << 40, (1 << 64) - 1))
    request = sent(ModeAtomic(0, props))

    packet.replace_descriptors(request, {}, FENCE_PROPERTY)

    assert request == ModeAtomic(0, props)


def test_fences_of_planes_are_replaced_and_other_values_are_not() -> None:
    request = sent(ModeAtomic(0, ((30, FENCE_PROPERTY, 8), (30, 15, 8), (31, FENCE_PROPERTY, 9))))

    packet.replace_descriptors(request, {8: 50}, FENCE_PROPERTY)

    assert request == ModeAtomic(0, ((30, FENCE_PROPERTY, 50), (30, 15, 8), (31, FENCE_PROPERTY, BAD_FD)))


def test_the_fences_of_an_atomic_reply_are_replaced_one_by_one() -> None:
    reply = AtomicReply(((1, Fd(4)), (2, Fd(-1)), (3, Fd(6))))

    packet.replace_descriptors(reply, {4: 70, 6: 71}, 0)

    assert reply == AtomicReply(((1, Fd(70)), (2, Fd(-1)), (3, Fd(71))))


@given(st.integers(-(1 << 31), 1 << 62), st.dictionaries(st.integers(0, 1 << 20), st.integers(3, 99)))
def test_no_sent_number_ever_names_a_descriptor_that_was_not_sent_with_it(
    number: int, mine: dict[int, int]
) -> None:
    request = sent(PrimeFdToHandle(Fd(number)))

    packet.replace_descriptors(request, mine, 0)

    assert isinstance(request, PrimeFdToHandle)
    assert request.fd in mine.values() or not 0 <= request.fd < BAD_FD


def test_every_request_has_a_reply_decoder_of_its_own_type() -> None:
    encoded = encode(Done(1, uapi.HandleReply(7)))
    done = decode_down(memoryview(encoded))

    assert isinstance(done, Done)
    assert packet.decode_reply[SyncobjCreate](done.reply) == uapi.HandleReply(7)
    with pytest.raises(msgspec.ValidationError):
        packet.decode_reply[uapi.SyncobjQuery](done.reply)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x00",
        b"garbage",
        encode(Done(1, None)),
        b"\x93\x01\x01\x91\xa4Nope",
        b"\x92\x09\x01",
        b"\xc1" * 40,
    ],
)
def test_what_is_no_packet_is_not_decoded(data: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_up(memoryview(data))
