"""How user space keeps its timelines: K19 for user fences, K20 for points. Warnings: the kernel allows all of it."""

from collections.abc import Sequence
from weakref import WeakKeyDictionary, ref

from syncline.kms_model.checker.actors import name_of
from syncline.kms_model.checker.report import Severity
from syncline.kms_model.checker.scene import Scene
from syncline.kms_model.observer import AwaitedPoint


class Timelines:
    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._answered: WeakKeyDictionary[object, int] = WeakKeyDictionary()
        self._writers: WeakKeyDictionary[object, ref[object]] = WeakKeyDictionary()

    def added(self, syncobj: object, *, point: int, last: int) -> None:
        if last and point <= last:
            what = f"point {point} is added after {last}: every point up to {last} is pending again until it signals"
            self._warn("K20", what, "unordered add", self._name(syncobj, point))

    def queried(self, syncobj: object, timeline: object, value: int) -> None:
        if timeline is None:
            return
        before = self._answered.get(timeline, 0)
        self._answered[timeline] = value
        if value < before:
            what = f"QUERY went back from {before} to {value}"
            self._warn("K20", what, "query went back", self._name(syncobj, value))

    def used(self, ins: Sequence[AwaitedPoint], outs: Sequence[AwaitedPoint]) -> None:
        """A job waits for `ins` and will signal `outs`."""
        for release in outs:
            for acquire in ins:
                if release.point and acquire.owner is release.owner and acquire.point >= release.point:
                    what = (
                        f"a job acquires at {acquire.point} and releases at {release.point} of one timeline"
                    )
                    names = [self._name(one.owner, one.point) for one in (acquire, release)]
                    self._warn("K20", what, "acquire not before release", *names)

    def watched(self, slot: object, *, signallers: int, is_mapped: bool) -> None:
        if signallers:
            return
        if is_mapped:
            what = "nobody is named who signals it; somebody may write the memory, and is polled for"
            self._warn("K19", what, "no signaller", self._name(slot, 0))
        else:
            what = "a waiter will never be woken: there is no signaller, and nobody can write the memory"
            self._scene.judge("K19", what, signature="lost wake-up", objects=(self._name(slot, 0),))

    def written(self, slot: object, by: object) -> None:
        known = self._writers.get(slot)
        writer = None if known is None else known()
        if writer is not None and writer is not by:
            self._warn("K19", "two files signal one slot", "two writers", self._name(slot, 0))
        self._writers[slot] = ref(by)

    def went_back(self, what: str) -> None:
        self._warn("K19", what, "value went back")

    def _warn(self, rule: str, what: str, signature: str, *objects: str) -> None:
        self._scene.judge(rule, what, signature=signature, severity=Severity.WARN, objects=objects)

    def _name(self, owner: object, point: int) -> str:
        return f"{name_of(owner, self._scene.actors.file)}@{point}"
