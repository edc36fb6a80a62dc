"""User fences: timelines whose payload is a number that user space writes, and no promise (kernel.md 6).

Everything here follows from one rule: a dma_fence never waits for user space. So a user point that is
not signalled has no dma_fence. It counts as materialised only once it is signalled (Q3), and what it
gives then is a stub. The other direction is always open: through a *bridge* the kernel writes a point
when a dma_fence signals.
"""

from bisect import insort
from errno import EACCES, EINVAL, EOWNERDEAD, ETIME
from operator import attrgetter
from typing import Final, Protocol

from syncline.kms_model.accesses import AccessObserver
from syncline.kms_model.fences.fence import Clock, Fence
from syncline.kms_model.observer import AwaitedPoint, Exporter
from syncline.kms_model.profiles import Poison
from syncline.kms_model.syncobj.syncobj import GLOBAL_STUB, Source, Syncobj, Watcher
from syncline.kms_model.trace import TraceEvent, Warn
from syncline.kms_model.uapi import USER_FENCE_POISON, DeviceError
from syncline.kms_model.user_fence.seqno_page import SeqnoPage

REPOLL_NS: Final = 1_000_000
"""How often a slot is looked at that somebody waits for and somebody outside may write (Q16)."""
_POINT: Final = attrgetter("point")


class Host(Clock, Protocol):
    accesses: AccessObserver | None

    def report(self, event: TraceEvent) -> None: ...


class Slot:
    """One seqno slot: a number that never goes back, who is obliged to raise it, who waits for it."""

    def __init__(self, host: Host, page: SeqnoPage, poison: Poison, *, value: int = 0) -> None:
        self.host = host
        self.page = page
        self.value = value
        self.status = 0
        self.abandoned = False
        """Nobody is left to write it: who waits in the kernel need not."""
        self.write_combined = False
        self.signallers: set[object] = set()
        self.last_out = 0
        """The newest point that a commit owes or owed to this slot (UR13)."""
        self.note: object | None = None
        self._poison = poison
        self._watchers: list[Watcher] = []
        self._bridges: list[Bridge] = []
        self._repolling = False
        self.offset = page.take(self)

    def find(self, point: int) -> Fence | None:
        """A stub if `point` is signalled. Never a pending fence: nobody promised anything."""
        return GLOBAL_STUB if self.reached(point) else None

    def reached(self, point: int) -> bool:
        """Or nobody is left who could make it so."""
        return self.read() >= point or self.abandoned

    def read(self) -> int:
        """The high-water mark, after a look at the memory if somebody outside may write it."""
        if self.page.written_outside:
            stored = self.page.load(self.offset)
            if stored > self.value:
                if self.host.accesses is not None:
                    self.host.accesses.written_outside(self, stored, self.signallers)
                self._rise(stored)
            elif stored < self.value:
                went_back = f"a slot went back from {self.value} to {stored}"
                self.host.report(Warn(self.host.now_ns, "K19", went_back))
                self.page.store(self.offset, self.value, self.status)
        return self.value

    def write(self, point: int, status: int = 0) -> None:
        """Signal up to `point`. The first `status` (a negative errno) stays."""
        self.status = self.status or status
        self._rise(max(point, self.value))

    def poison(self, errno: int) -> None:
        """Nobody is left to write it: say why, and release everybody who waits, GPU pollers too if the number
        is written (6.5, Q5)."""
        self.abandoned = True
        self.write(USER_FENCE_POISON if self._poison is Poison.VALUE_AND_STATUS else 0, -errno)

    def forget(self, signaller: object) -> None:
        """A signaller is gone. With the last one goes the slot: EOWNERDEAD."""
        if signaller in self.signallers:
            self.signallers.remove(signaller)
            if not self.signallers:
                self.poison(EOWNERDEAD)

    def bridge(self, fence: Fence, point: int) -> None:
        """Write `point` when `fence` signals, its error as status."""
        bridge = self.owe(point)
        if not fence.add_callback(bridge.fence_done):
            bridge.fence_done(fence)

    def copy(self, source: "Slot", point: int, source_point: int) -> None:
        """Write `point` when `source` reaches `source_point`. As good a promise as the source's: none."""
        source.watch(Copy(source, source_point, self.owe(point)))

    def fire_bridges(self) -> None:
        """In the order of points: a later one waits for those before it."""
        while self._bridges and self._bridges[0].is_done:
            bridge = self._bridges.pop(0)
            self.write(bridge.point, bridge.status)

    def watch(self, watcher: Watcher) -> None:
        if not watcher.changed(self):
            if self.host.observer is not None:
                owed = len(self.signallers) + len(self._bridges)
                self.host.observer.slot_watched(self, signallers=owed, is_mapped=self.page.written_outside)
            self._watchers.append(watcher)
            self.look_again()

    def unwatch(self, watcher: Watcher) -> None:
        if watcher in self._watchers:
            self._watchers.remove(watcher)

    def look_again(self) -> None:
        """Repoll while somebody waits and the memory may change without a call."""
        if self.page.written_outside and self._watchers and not self._repolling:
            self._repolling = True
            self.host.call_at(self.host.now_ns + REPOLL_NS, self._repoll)

    def _repoll(self) -> None:
        self._repolling = False
        self.read()
        self.look_again()

    def owe(self, point: int) -> "Bridge":
        """The kernel will write `point`, when the bridge is finished and those to earlier points are."""
        bridge = Bridge(self, point)
        insort(self._bridges, bridge, key=_POINT)
        return bridge

    def _rise(self, value: int) -> None:
        self.value = value
        self.page.store(self.offset, value, self.status)
        waiting, self._watchers = self._watchers, []
        self._watchers = [watcher for watcher in waiting if not watcher.changed(self)] + self._watchers

    def __del__(self) -> None:
        self.page.give_back(self.offset)


class Bridge:
    """A point that the kernel owes to a slot."""

    __slots__ = ("is_done", "point", "slot", "status")

    def __init__(self, slot: Slot, point: int) -> None:
        self.slot = slot
        self.point = point
        self.is_done = False
        self.status = 0

    def fence_done(self, fence: Fence) -> None:
        self.finish(fence.error)

    def finish(self, status: int) -> None:
        self.is_done = True
        self.status = status
        self.slot.fire_bridges()


class Copy:
    """Watches a slot on behalf of a bridge into another."""

    __slots__ = ("_bridge", "_point", "_source")

    def __init__(self, source: Slot, point: int, bridge: Bridge) -> None:
        self._source = source
        self._point = point
        self._bridge = bridge

    def changed(self, source: Source) -> bool:
        if source.find(self._point) is None:
            return False
        self._source.host.defer(self._finish)  # slots may be copied in a circle
        return True

    def _finish(self) -> None:
        bridge, accesses = self._bridge, self._source.host.accesses
        if accesses is not None:
            source = AwaitedPoint(self._source, self._point, is_user=True)
            accesses.handed_on(None, AwaitedPoint(bridge.slot, bridge.point, is_user=True), (source,))
        bridge.finish(self._source.status)


class PrivilegedSlot(Slot):
    """A slot that only the kernel and its firmware write. With a watchdog it may back dma_fences (6.1)."""

    def __init__(self, host: Host, page: SeqnoPage, poison: Poison, *, watchdog_ns: int) -> None:
        super().__init__(host, page, poison)
        self._watchdog_ns = watchdog_ns
        self.signallers.add(host)
        self._context = host.new_context()

    def find(self, point: int) -> Fence | None:
        if self.reached(point):
            return GLOBAL_STUB
        fence = PrivilegedFence(self, self._context, point)
        if self.host.observer is not None:
            exporter = Exporter(name="privileged slot", bound_ns=self._watchdog_ns, ordered=False)
            self.host.observer.exported(fence, exporter)
        self.watch(fence)
        self.host.call_at(self.host.now_ns + self._watchdog_ns, fence.expire)
        return fence


class PrivilegedFence(Fence):
    """A real dma_fence: the slot reaches `seqno`, or the watchdog ends it with -ETIME."""

    __slots__ = ("_slot",)

    wide = True

    def __init__(self, slot: PrivilegedSlot, context: int, point: int) -> None:
        super().__init__(context, point, "user-queue", "privileged")
        self._slot = slot

    def changed(self, _source: Source) -> bool:
        if not self._slot.reached(self.seqno):
            return False
        if self._slot.status:
            self.set_error(-self._slot.status)
        self.signal(self._slot.host.now_ns)
        return True

    def expire(self) -> None:
        if not self.signalled:
            self._slot.unwatch(self)
            self.set_error(ETIME)
            self.signal(self._slot.host.now_ns)


class UserSyncobj(Syncobj):
    """A syncobj of type USER: a slot, and whether this way of holding it may signal."""

    __slots__ = ("slot", "writable")

    def __init__(self, slot: Slot, *, writable: bool) -> None:
        super().__init__()
        self.slot = slot
        self.writable = writable

    def find(self, point: int) -> Fence | None:
        return self.slot.find(point)

    @property
    def timeline(self) -> object:
        return self.slot

    def awaited(self, point: int) -> AwaitedPoint:
        return AwaitedPoint(self.slot, point, is_user=True)

    def query(self) -> int:
        return self.slot.read()

    def last_submitted(self) -> int:
        """The same as `query`: nobody knows what will be signalled."""
        return self.slot.read()

    def watch(self, watcher: Watcher) -> None:
        self.slot.watch(watcher)

    def unwatch(self, watcher: Watcher) -> None:
        self.slot.unwatch(watcher)

    def hint_deadline(self, deadline_ns: int) -> None:
        self.slot.page.store_deadline(self.slot.offset, deadline_ns)

    def check_put(self, point: int) -> None:
        """EINVAL: there is no fence to replace, or no such point. EACCES: this way of holding it may only read."""
        _check_point(point)
        if not self.writable:
            raise DeviceError(EACCES, "read only")

    def put(self, _clock: Clock, fence: Fence, point: int) -> None:
        """A bridge. Always legal: a dma_fence will signal."""
        self.slot.bridge(fence, point)

    def check_signal(self, point: int, caller: object) -> None:
        """EINVAL: no such point. EACCES: the caller is no signaller."""
        _check_point(point)
        if caller not in self.slot.signallers:
            raise DeviceError(EACCES, "not a signaller")
        if self.slot.host.observer is not None:
            self.slot.host.observer.slot_written(self.slot, caller)

    def signal_point(self, _clock: Clock, point: int) -> None:
        self.slot.write(point)

    def check_replace(self) -> None:
        raise DeviceError(EINVAL, "a user fence has no binary payload")


def _check_point(point: int) -> None:
    if not 0 < point < USER_FENCE_POISON:
        raise DeviceError(EINVAL, "0 is always signalled, and all ones is poison")
