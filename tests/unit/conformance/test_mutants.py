"""The suite judged: a compositor with one rule broken on purpose is caught by the case that is there for it.

Mutants exist only in here, as replaced methods: nothing in the compositor can be switched to one.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from syncline.compositor.core import commits
from syncline.compositor.core.buffer import Buffer
from syncline.compositor.core.constraint import ConstraintState
from syncline.compositor.core.display import Crtc
from syncline.compositor.core.errors import Violation
from syncline.compositor.core.release import Releases
from syncline.compositor.core.state import UNATTACHED, PendingState
from syncline.compositor.core.subsurface import Subsurfaces
from syncline.compositor.core.syncobj import Error, SyncPair, SyncPoint
from syncline.compositor.core.waits import Waits
from syncline.compositor.loop import Watches
from syncline.compositor.wayland.surface import SurfaceFactory, WlSurface
from syncline.compositor.wayland.syncobj import WpLinuxDrmSyncobjManagerV1, WpLinuxDrmSyncobjSurfaceV1
from syncline.conformance.catalogue import cases
from syncline.conformance.judge import Verdict, judge
from syncline.kms_model.uapi import SyncobjTimelineSignal
from syncline.lab.conform.virtual import VirtualTarget
from syncline.protocol.display import Callback

Patch = pytest.MonkeyPatch
CASES = {case.id: case for case in cases()}


def _checks_points(patch: Patch, judge_pair: Callable[..., SyncPair | None]) -> None:
    patch.setattr(commits, "check_points", partial(judge_pair, commits.check_points))


def forgives(*codes: Error) -> Callable[[Patch], None]:
    """Commits with these errors are taken, as far as they can be."""

    def check(
        real: Any, buffer: Buffer | None, acquire: SyncPoint | None, release: SyncPoint | None
    ) -> SyncPair | None:
        try:
            return real(buffer, acquire, release)
        except Violation as violation:
            if violation.code not in codes:
                raise
            return SyncPair(acquire, release) if buffer and acquire and release else None

    return lambda patch: _checks_points(patch, check)


def compares_low_words(patch: Patch) -> None:
    def check(
        real: Any, buffer: Buffer | None, acquire: SyncPoint | None, release: SyncPoint | None
    ) -> SyncPair | None:
        if acquire and release and (acquire.value & 0xFFFF_FFFF) < (release.value & 0xFFFF_FFFF):
            return SyncPair(acquire, release)
        return real(buffer, acquire, release)

    _checks_points(patch, check)


def points_stick(patch: Patch) -> None:
    successor = PendingState.successor

    def keep(self: PendingState) -> PendingState:
        after = successor(self)
        after.acquire, after.release = self.acquire, self.release
        return after

    patch.setattr(PendingState, "successor", keep)


def buffers_stick(patch: Patch) -> None:
    content = WlSurface._content
    last: dict[WlSurface, Any] = {}

    def keep(self: WlSurface, attached: Any) -> Any:
        if attached is not UNATTACHED:
            last[self] = attached
        return content(self, last.get(self, attached))

    patch.setattr(WlSurface, "_content", keep)


def overtakes(patch: Patch) -> None:
    """A newer update does not let an older one wait."""
    enqueue = commits.enqueue

    def push(new: Any) -> None:
        for old in new.surface.queue:
            for constraint in old.constraints:
                constraint.state = ConstraintState.RELEASED
        enqueue(new)

    patch.setattr(commits, "enqueue", push)


def blames_the_surface(patch: Patch) -> None:
    def check_first(self: SurfaceFactory, surface: Any, interface: str, code: int) -> None:
        if self._session.object_of(surface.surface, interface):
            raise surface.error(code, "on the wrong object")

    patch.setattr(WpLinuxDrmSyncobjManagerV1, "check_first", check_first)


def takes_several_objects(patch: Patch) -> None:
    def check_first(self: SurfaceFactory, surface: Any, interface: str, code: int) -> None:
        self._session.surfaces[surface.surface].by_interface.pop(interface, None)

    patch.setattr(WpLinuxDrmSyncobjManagerV1, "check_first", check_first)


def masks_waits(patch: Patch) -> None:
    question = Waits._question

    def short(self: Waits, constraint: Any) -> tuple[int, int, bool]:
        handle, point, available = question(self, constraint)
        return handle, point & 0xFFFF_FFFF, available

    patch.setattr(Waits, "_question", short)


def takes_any_fence(patch: Patch) -> None:
    question = Waits._question
    patch.setattr(Waits, "_question", lambda self, constraint: (*question(self, constraint)[:2], True))


def believes_every_wake(patch: Patch) -> None:
    def point_ready(self: Waits, watch: int, now_ns: int) -> Any:
        update, constraint = self._by_watch.pop(watch)
        constraint.watch = None
        self._release(update, constraint, now_ns)
        return update

    patch.setattr(Waits, "point_ready", point_ready)


def never_looks_again(patch: Patch) -> None:
    patch.setattr(
        Waits, "tick", lambda self, now_ns: setattr(self, "_watchdog_ns", now_ns + 10**12) or iter(())
    )
    patch.setattr(Watches, "_bark", lambda self: None)


def does_not_wait(patch: Patch) -> None:
    patch.setattr(Waits, "await_point", lambda self, update, **_: None)


def releases_at_commit(patch: Patch) -> None:
    lend = Releases.lend

    def lend_and_signal(self: Releases, loan: Any) -> None:
        lend(self, loan)
        if loan.release is not None:
            point = loan.release
            self._device.call(SyncobjTimelineSignal(handles=(point.timeline.handle,), points=(point.value,)))

    patch.setattr(Releases, "lend", lend_and_signal)


def keeps_implicit_fences(patch: Patch) -> None:
    flip = Crtc.flip
    patch.setattr(Crtc, "flip", lambda self, shows, **how: flip(self, shows, **{**how, "in_fences": {}}))


def begins_desynchronized(patch: Patch) -> None:
    make = Subsurfaces.make

    def make_desync(self: Subsurfaces, surface: Any, parent: Any) -> None:
        make(self, surface, parent)
        surface.is_synchronized = False

    patch.setattr(Subsurfaces, "make", make_desync)


def forgets_former_parents(patch: Patch) -> None:
    patch.setattr(commits, "holders", lambda root: set())


def keeps_cached_updates(patch: Patch) -> None:
    patch.setattr(commits, "set_free", lambda surface, *, tree: None)


def takes_points_of_orphans(patch: Patch) -> None:
    patch.setattr(WpLinuxDrmSyncobjSurfaceV1, "_check_surface", lambda self: None)


def answers_with_numbers(patch: Patch) -> None:
    done = Callback.done
    patch.setattr(Callback, "done", lambda self, data: done(self, data + 7))


@pytest.mark.parametrize(
    ("mutate", "killers"),
    [
        pytest.param(forgives(Error.CONFLICTING_POINTS), "VAL-16 VAL-17 VAL-21 LIF-08", id="no conflicts"),
        pytest.param(compares_low_words, "VAL-21", id="compares low words"),
        pytest.param(
            forgives(Error.NO_ACQUIRE_POINT, Error.NO_RELEASE_POINT),
            "VAL-02 VAL-03 VAL-04 VAL-23 VAL-26 LIF-05 OBJ-05",
            id="no points needed",
        ),
        pytest.param(
            forgives(Error.NO_BUFFER),
            "VAL-05 VAL-06 VAL-07 VAL-08 VAL-09 VAL-10 VAL-13",
            id="no buffer needed",
        ),
        pytest.param(points_stick, "VAL-11 VAL-12 VAL-23 REL-03", id="points stick"),
        pytest.param(buffers_stick, "VAL-08 VAL-12 SUB-04", id="buffers stick"),
        pytest.param(overtakes, "ACQ-08 ACQ-09 ACQ-10 SUB-04", id="overtakes"),
        pytest.param(blames_the_surface, "OBJ-02 OBJ-04 VAL-29 LIF-04", id="blames the surface"),
        pytest.param(takes_several_objects, "OBJ-02 OBJ-03 OBJ-04", id="takes several objects"),
        pytest.param(takes_points_of_orphans, "OBJ-07 OBJ-08 OBJ-09", id="takes points of orphans"),
        pytest.param(masks_waits, "ACQ-06", id="masks waits"),
        pytest.param(takes_any_fence, "ACQ-03", id="takes any fence"),
        pytest.param(does_not_wait, "ACQ-02 ACQ-05 ACQ-08 ACQ-31 SUB-02 SUB-04 COR-06", id="does not wait"),
        pytest.param(believes_every_wake, "ACQ-30", id="believes every wake"),
        pytest.param(never_looks_again, "ACQ-29", id="never looks again"),
        pytest.param(releases_at_commit, "REL-02", id="releases at commit"),
        pytest.param(keeps_implicit_fences, "ACQ-24", id="keeps implicit fences"),
        pytest.param(begins_desynchronized, "SUB-01 SUB-02", id="begins desynchronized"),
        pytest.param(forgets_former_parents, "SUB-09", id="forgets former parents"),
        pytest.param(keeps_cached_updates, "SUB-06", id="keeps cached updates"),
        pytest.param(answers_with_numbers, "COR-02", id="answers with numbers"),
    ],
)
def test_a_broken_rule_is_caught(mutate: Callable[[Patch], None], killers: str, monkeypatch: Patch) -> None:
    mutate(monkeypatch)
    verdicts = {
        each: judge(CASES[each], VirtualTarget(), seed=0, practice=True).verdict for each in killers.split()
    }
    assert set(verdicts.values()) == {Verdict.FAIL}, verdicts
