"""The decision table at wl_surface.commit (protocol.md 1.0), in full."""

import pytest

from syncline.compositor.core.buffer import NO_FD, Buffer, Origin
from syncline.compositor.core.errors import Violation
from syncline.compositor.core.syncobj import SyncPair, SyncPoint, Timeline, check_points
from syncline.kms_model.uapi import FORMAT_XRGB8888
from syncline.protocol.enums import WpLinuxDrmSyncobjSurfaceV1

Error = WpLinuxDrmSyncobjSurfaceV1.Error
ONE, OTHER = Timeline(1), Timeline(2)
DMABUF, SHM, COLOR = (Buffer(origin, 4, 4, FORMAT_XRGB8888, NO_FD) for origin in list(Origin)[:3])
HUGE = (1 << 64) - 1


def point(timeline: Timeline, value: int) -> SyncPoint:
    return SyncPoint(timeline, value)


REFUSED = [
    # buffer  acquire               release               because                     rule
    (None,    point(ONE, 1),        None,                 Error.NO_BUFFER,            "S34"),
    (None,    None,                 point(ONE, 1),        Error.NO_BUFFER,            "S35"),
    (None,    point(ONE, 1),        point(ONE, 2),        Error.NO_BUFFER,            "S36"),
    (DMABUF,  None,                 None,                 Error.NO_ACQUIRE_POINT,     "S40"),
    (DMABUF,  None,                 point(ONE, 1),        Error.NO_ACQUIRE_POINT,     "S38"),
    (DMABUF,  point(ONE, 1),        None,                 Error.NO_RELEASE_POINT,     "S39"),
    (SHM,     point(ONE, 1),        point(ONE, 2),        Error.UNSUPPORTED_BUFFER,   "S41"),
    (COLOR,   point(ONE, 1),        point(ONE, 2),        Error.UNSUPPORTED_BUFFER,   "S41"),
    (DMABUF,  point(ONE, 2),        point(ONE, 2),        Error.CONFLICTING_POINTS,   "S42"),
    (DMABUF,  point(ONE, 1 << 32),  point(ONE, 5),        Error.CONFLICTING_POINTS,   "S25"),
]  # fmt: skip
ACCEPTED = [
    (None,    None,                 None,                 "S32"),
    (DMABUF,  point(ONE, 1),        point(ONE, 2),        "S43"),
    (DMABUF,  point(ONE, 9),        point(OTHER, 1),      "S44"),
    (DMABUF,  point(ONE, 0),        point(ONE, HUGE),     "S66"),
]  # fmt: skip


@pytest.mark.parametrize(("buffer", "acquire", "release", "because", "rule"), REFUSED)
def test_a_commit_that_breaks_a_rule_is_refused(
    buffer: Buffer | None, acquire: SyncPoint | None, release: SyncPoint | None, because: Error, rule: str
) -> None:
    with pytest.raises(Violation) as refusal:
        check_points(buffer, acquire, release)
    assert refusal.value.code is because


@pytest.mark.parametrize(("buffer", "acquire", "release", "rule"), ACCEPTED)
def test_a_commit_that_keeps_the_rules_is_taken(
    buffer: Buffer | None, acquire: SyncPoint | None, release: SyncPoint | None, rule: str
) -> None:
    expected = SyncPair(acquire, release) if acquire is not None and release is not None else None
    assert check_points(buffer, acquire, release) == expected


def test_every_error_in_the_xml_is_provoked_here_but_the_one_of_orphans() -> None:
    assert {because for *_, because, _ in REFUSED} | {Error.NO_SURFACE} == set(Error)
