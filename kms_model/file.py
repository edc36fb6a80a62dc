"""An open of the device node: its handles, capabilities, mastership and events."""

from collections.abc import Callable, Iterable
from errno import ENOMEM
from heapq import heappop, heappush
from typing import Any, Final, Generic, TypeVar

from syncline.kms_model.budget import Budget
from syncline.kms_model.buffers.buffer import GemObject
from syncline.kms_model.kernel import Kernel
from syncline.kms_model.profiles import Profile
from syncline.kms_model.quirks import Quirks
from syncline.kms_model.syncobj.syncobj import Syncobj
from syncline.kms_model.task import Pending
from syncline.kms_model.uapi import ClientCap, DeviceError, Event

T = TypeVar("T")

EVENT_SPACE: Final = 4096
EVENT_SIZE: Final = 32
MAX_HANDLES: Final = 1 << 20


class Handles(Generic[T]):
    """Numbers for objects: from 1, the lowest free one first."""

    __slots__ = ("_free", "_next", "_things")

    def __init__(self) -> None:
        self._things: dict[int, T] = {}
        self._free: list[int] = []
        self._next = 1

    def add(self, thing: T) -> int:
        """A new handle. ENOMEM beyond MAX_HANDLES."""
        if len(self._things) >= MAX_HANDLES:
            raise DeviceError(ENOMEM, "too many handles")
        if self._free:
            handle = heappop(self._free)
        else:
            handle = self._next
            self._next += 1
        self._things[handle] = thing
        return handle

    def get(self, handle: int) -> T | None:
        return self._things.get(handle)

    def remove(self, handle: int) -> T | None:
        thing = self._things.pop(handle, None)
        if thing is not None:
            heappush(self._free, handle)
        return thing

    def items(self) -> Iterable[tuple[int, T]]:
        return self._things.items()

    def clear(self) -> None:
        self.__init__()  # type: ignore[misc]

    def __len__(self) -> int:
        return len(self._things)


class File:
    """struct drm_file. `node` is "card" or "render"."""

    def __init__(self, kernel: Kernel, profile: Profile, quirks: Quirks, node: str) -> None:
        self.kernel = kernel
        self.profile = profile
        self.quirks = quirks
        self.node = node
        self.syncobjs: Handles[Syncobj] = Handles()
        self.gems: Handles[GemObject] = Handles()
        self.gem_handles: dict[GemObject, int] = {}
        self.client_caps: dict[int, int] = {}
        self.is_master = False
        self.was_master = False
        self.budget = Budget()
        self.closed = False
        self.label = ""
        """Who opened it, for traces."""
        self.note: object | None = None
        self.calls: set[Pending[Any]] = set()
        self.on_readable: Callable[[], None] | None = None
        """Called when events become readable after there were none."""
        self._events: list[Event] = []
        self._event_space = EVENT_SPACE

    def has_cap(self, cap: ClientCap) -> bool:
        return bool(self.client_caps.get(cap))

    def reserve_event(self, count: int = 1) -> None:
        """Make room for events before the call that will cause them. ENOMEM when 4096 bytes are taken."""
        if self._event_space < EVENT_SIZE * count:
            raise DeviceError(ENOMEM, "the event queue is full")
        self._event_space -= EVENT_SIZE * count

    def cancel_event(self, count: int = 1) -> None:
        """Give the room of reserved events back."""
        self._event_space += EVENT_SIZE * count

    def send_event(self, event: Event) -> None:
        """Queue an event whose room was reserved. A closed file loses it."""
        if self.closed:
            return
        self._events.append(event)
        if len(self._events) == 1 and self.on_readable is not None:
            self.on_readable()

    def tell(self, uevent: Event) -> None:
        """Not a reply to anything: lost when there is no room, as a netlink message would be."""
        if self._event_space >= EVENT_SIZE:
            self.reserve_event()
            self.send_event(uevent)

    @property
    def has_events(self) -> bool:
        return bool(self._events)

    def read_events(self, limit: int = EVENT_SPACE // EVENT_SIZE) -> list[Event]:
        """read(2): up to `limit` events in order."""
        events, self._events = self._events[:limit], self._events[limit:]
        self._event_space += EVENT_SIZE * len(events)
        return events
