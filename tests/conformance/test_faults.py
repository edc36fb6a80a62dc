"""Faults in the machine under the compositor, which only the model can have (protocol.md 5, class M)."""

from typing import Final

from syncline.conformance.case import DMABUF, PRESENTATION, SYNCOBJ, RunClass, case
from syncline.conformance.pace import check_after
from syncline.conformance.trial import Trial
from syncline.conformance.window import Frame, Window

M = RunClass.M
NEEDS: Final = (SYNCOBJ, DMABUF, PRESENTATION)
WHILE_NS: Final = 200_000_000
LATE_NS: Final = 5_000_000_000
"""A watchdog may take its time."""


def _shown(trial: Trial) -> Window:
    window = Window(trial)
    window.settle(window.show(window.image()))
    return window


def _held(trial: Trial, frame: Frame, what: str) -> None:
    trial.never(lambda: frame.is_done or frame.is_presented, what, for_ns=WHILE_NS)


def _signalled(trial: Trial, frame: Frame) -> None:
    frame.signal()
    trial.expect(lambda: frame.is_presented, "presentation, even if late", within_ns=LATE_NS)
    check_after(trial, frame, frame.signalled_ns)


@case("S65", M, priority=2, needs=NEEDS, device=True)
def test_acq_27_a_fence_that_ends_in_error_counts_as_signalled(trial: Trial) -> None:
    """What is shown is undefined; that the queue goes on is not."""
    window = _shown(trial)
    fence, acquire = trial.device.fence(), window.new_point()
    acquire.timeline.materialise(1, fence)
    frame = window.show(window.image(), acquire=acquire, ready=False)
    _held(trial, frame, "a frame whose fence has not ended")
    fence.abandon()
    trial.expect(lambda: frame.is_presented, "presentation once the fence ended in error")


@case("S56 S68", M, needs=NEEDS, device=True)
def test_acq_28_a_wait_that_cannot_be_registered_is_not_a_point_reached(trial: Trial) -> None:
    """SYNCOBJ_EVENTFD fails: the update is not shown before its point, and shown in the end."""
    window = _shown(trial)
    trial.faults.inject("SyncobjEventfd=EMFILE:1:3")
    frame = window.show(window.image(), ready=False)
    _held(trial, frame, "a frame whose wait could not be registered")
    _signalled(trial, frame)


@case("S64", M, needs=NEEDS, device=True)
def test_acq_29_a_lost_wake_is_made_good(trial: Trial) -> None:
    """The eventfd never rings though the point is signalled: somebody looks again."""
    window = _shown(trial)
    trial.faults.inject("lost-wake:1:*")
    frame = window.show(window.image(), ready=False)
    _held(trial, frame, "a frame that is not ready")
    _signalled(trial, frame)
    late_ns = frame.presented_ns - (frame.signalled_ns or 0)
    trial.note(f"recorded: presented {late_ns / 1e6:.0f} ms after the signal that nobody heard")


@case("S56", M, priority=2, needs=NEEDS, device=True)
def test_acq_30_a_wake_without_a_reason_is_not_believed(trial: Trial) -> None:
    """The eventfd rings though the point is not signalled."""
    window = _shown(trial)
    trial.faults.inject("spurious-wake")
    frame = window.show(window.image(), ready=False)
    _held(trial, frame, "a frame whose eventfd rang for nothing")
    _signalled(trial, frame)


def _released_without(trial: Trial, *requests: str) -> None:
    window = _shown(trial)
    points = [(window.new_point(), window.new_point()) for _ in range(5)]
    window.client.roundtrip()
    trial.faults.inject(*(f"{request}=EMFILE:1:*" for request in requests))
    frames = []
    for acquire, release in points:
        frames.append(window.show(window.image(), acquire=acquire, release=release))
        window.settle(frames[-1])
    window.hide()
    trial.expect(
        lambda: all(each.is_released for each in frames), f"release points without {' and '.join(requests)}"
    )


@case("S70", M, needs=NEEDS, device=True)
def test_rel_27_without_fence_export_points_are_signalled_by_hand(trial: Trial) -> None:
    """No sync_file can be had of a syncobj: every release point is reached all the same."""
    _released_without(trial, "SyncobjHandleToFd")


@case("S70", M, needs=NEEDS, device=True)
def test_rel_28_a_failed_merge_or_import_loses_no_release(trial: Trial) -> None:
    """Fences can be neither merged nor put behind a point."""
    _released_without(trial, "SyncFileMerge", "SyncobjTransfer", "SyncobjFdToHandle")
    trial.pass_ms(20)
