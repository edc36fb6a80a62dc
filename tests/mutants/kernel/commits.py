"""Commits that wait for too much or too little, with fences of either kind."""

from errno import EINVAL
from typing import Any

from mutants.mutant import Broken, breaks
from syncline.kms_model.buffers.resv import Usage
from syncline.kms_model.file import File
from syncline.kms_model.kms import atomic, check, commit, framebuffers, ioctls, pending
from syncline.kms_model.kms.atomic import _Call
from syncline.kms_model.kms.display import Display
from syncline.kms_model.kms.objects import Framebuffer, Plane, PlaneState
from syncline.kms_model.kms.parse import Parser
from syncline.kms_model.kms.pending import NotYet, ParkedCommit
from syncline.kms_model.kms.point import UserPoint
from syncline.kms_model.kms.state import AtomicState
from syncline.kms_model.uapi import AtomicFlag, DeviceError

RULES = "kms/test_user_fence_rules.py::"
PARKED = "kms/test_parked_commits.py::"
OVERRIDDEN = "kms/test_overridden_commits.py::"
DROPPED = "kms/test_dropped_commits.py::"


@breaks("2.8 3.4", at=(commit, "prepare"), killed_by="replay:kms-implicit-and-explicit-pending")
def waits_for_implicit_fences_too(_prepare: Broken, display: Display, plane: PlaneState) -> None:
    """An explicit in-fence does not take the place of the implicit ones."""
    commit._collect(display, plane, Usage.WRITE)


@breaks("3.5", at=(commit, "_refuse_if_ahead"), killed_by="replay:kms-ebusy-other-plane")
def takes_commits_while_a_flip_is_pending(_refuse: Broken, previous: Any, *, nonblock: bool) -> None:
    """A second NONBLOCK commit is taken before the first is on the screen."""


@breaks("3.4", at=(Parser, "_set_in_fence"), killed_by="replay:kms-in-fence-twice")
def takes_the_last_in_fence(set_in_fence: Broken, self: Parser, plane: Plane, fd: int) -> None:
    """A second IN_FENCE_FD of a plane replaces the first."""
    self._state.planes[plane].fence = None
    set_in_fence(self, plane, fd)


def _forgiving(rule: str, check_points: Broken, state: AtomicState) -> None:
    """What is an error by that rule is taken."""
    try:
        check_points(state)
    except DeviceError as error:
        if f"({rule})" not in error.why:
            raise


@breaks(
    "UR1 K15", at=(check, "check_user_points"),
    killed_by=RULES + "test_who_waits_for_user_space_is_promised_no_dma_fence",
)  # fmt: skip
def promises_dma_fences_of_user_space(check_points: Broken, state: AtomicState) -> None:
    """A commit that waits for user space may have an out-fence."""
    _forgiving("UR1", check_points, state)


@breaks(
    "UR2", at=(check, "check_user_points"),
    killed_by=RULES + "test_both_kinds_of_in_fence_hold_a_frame_on_one_plane_or_on_two",
)  # fmt: skip
def refuses_both_kinds_of_in_fence(check_points: Broken, state: AtomicState) -> None:
    """A plane has a user in-fence or a dma in-fence."""
    check_points(state)
    if state.user_points and any(new.in_file is not None for new in state.planes.values()):
        raise DeviceError(EINVAL, "in-fences of both kinds")


@breaks(
    "UR3", at=(check, "check_user_points"),
    killed_by=RULES + "test_out_fences_of_both_kinds_are_refused_in_one_commit",
)  # fmt: skip
def gives_out_fences_of_both_kinds(check_points: Broken, state: AtomicState) -> None:
    """A commit may owe a user point and a dma_fence."""
    _forgiving("UR3", check_points, state)


@breaks(
    "UR4",
    at=(check, "check_user_points"),
    killed_by=RULES + "test_an_event_is_no_fence_and_comes_if_asked_for",
)
def takes_events_for_fences(check_points: Broken, state: AtomicState) -> None:
    """A commit that waits for user space may not ask for an event."""
    check_points(state)
    if state.user_points and any(new.event is not None for new in state.crtcs.values()):
        raise DeviceError(EINVAL, "an event of user space's making")


@breaks(
    "UR5",
    at=(atomic, "park"),
    killed_by=PARKED + "test_the_ioctl_returns_and_the_frame_comes_when_user_space_is_done",
)
async def sleeps_in_the_ioctl(
    _park: Broken, display: Display, file: File, state: AtomicState, *, timeout_ns: int
) -> None:
    """A NONBLOCK commit sleeps until user space is done."""
    raise NotYet(points=state.user_points)


@breaks(
    "UR5 UR11", at=(UserPoint, "reached"),
    killed_by=PARKED + "test_every_point_of_every_plane_is_waited_for_whatever_their_order "
    + DROPPED + "test_a_blocking_commit_sleeps_for_user_space_without_any_lock",
)  # fmt: skip
def waits_for_no_user_point(_reached: Broken, self: UserPoint) -> bool:
    """Every user point counts as reached."""
    return True


@breaks(
    "UR6",
    at=(pending, "collect_moves"),
    killed_by=PARKED + "test_moves_of_the_memory_are_waited_for_as_of_the_promotion",
)
def forgets_moves_of_the_memory(_collect: Broken, display: Display, plane: PlaneState) -> None:
    """What moves a buffer after its commit was parked is not waited for."""


@breaks(
    "UR7",
    at=(pending, "check"),
    killed_by=OVERRIDDEN + "test_what_no_longer_fits_at_its_promotion_is_dropped",
)
async def checks_once(_check: Broken, display: Display, state: AtomicState) -> None:
    """What was checked when it was parked is not checked again."""


@breaks(
    "UR8",
    at=(atomic, "give_way"),
    killed_by=OVERRIDDEN + "test_a_parked_commit_makes_its_crtc_busy_and_no_other",
)
def lets_newer_commits_pass(
    _give_way: Broken, display: Display, state: AtomicState, *, nonblock: bool
) -> None:
    """A parked commit is in nobody's way."""


@breaks("UR8", at=(AtomicState, "drop_parked"), killed_by=OVERRIDDEN + "test_a_newer_frame_takes_its_place")
def overrides_nothing(_drop: Broken, self: AtomicState, parked: Any) -> None:
    """A newer frame does not end the one that it overrides."""


@breaks(
    "UR9",
    at=(ParkedCommit, "__init__"),
    killed_by=DROPPED + "test_the_timeout_keeps_the_old_frame_and_says_so",
)
def waits_beyond_the_timeout(
    init: Broken,
    self: ParkedCommit,
    display: Display,
    file: File,
    crtc: Any,
    state: AtomicState,
    _deadline: Any,
) -> None:
    """A parked commit has no time limit."""
    init(self, display, file, crtc, state, None)


@breaks(
    "UR10",
    at=(check, "check_user_points"),
    killed_by=RULES
    + "test_a_modeset_does_not_wait_for_user_space "
    + RULES
    + "test_nor_do_two_screens_at_once",
)
def parks_anything(check_points: Broken, state: AtomicState) -> None:
    """Modesets and commits for several screens may wait for user space."""
    _forgiving("UR10", check_points, state)


@breaks("UR12", at=(_Call, "_check"), killed_by=RULES + "test_a_test_looks_at_no_value_and_leaves_no_trace")
async def looks_at_values_in_a_test(check_it: Broken, self: _Call) -> None:
    """A test of a commit whose user points are not reached fails."""
    await check_it(self)
    is_test = self._request.flags & AtomicFlag.TEST_ONLY
    if is_test and not all(point.reached for point in self._state.user_points):
        raise DeviceError(EINVAL, "not ready")


@breaks(
    "UR13",
    at=(check, "check_user_points"),
    killed_by=RULES + "test_the_points_that_commits_owe_to_one_slot_increase",
)
def owes_points_in_any_order(check_points: Broken, state: AtomicState) -> None:
    """Points owed to one slot may go back."""
    _forgiving("UR13", check_points, state)


@breaks(
    "UR15", at=(check, "check_user_points"),
    killed_by=RULES + "test_a_dma_fence_of_a_buffer_with_an_implicit_user_fence_is_refused",
)  # fmt: skip
def guesses_at_implicit_user_fences(check_points: Broken, state: AtomicState) -> None:
    """A buffer with an implicit user fence may be shown for a dma_fence."""
    _forgiving("UR15", check_points, state)


@breaks(
    "UR14",
    at=(ioctls, "cancel_of"),
    killed_by=DROPPED + "test_with_the_mastership_goes_what_is_parked_and_nothing_that_is_committed",
)
def keeps_what_former_masters_parked(_cancel: Broken, display: Display, file: File) -> None:
    """Who is master no longer may still be shown."""


@breaks(
    "UR14",
    at=(framebuffers, "cancel_showing"),
    killed_by=DROPPED
    + "test_removing_its_framebuffer_cancels_it_without_sleeping_and_removing_another_does_not",
)
def keeps_what_shows_a_removed_framebuffer(_cancel: Broken, display: Display, fb: Framebuffer) -> None:
    """A parked commit outlives its framebuffer."""
