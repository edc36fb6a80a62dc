"""The stream of events: everything that happens in the core, as typed records. Every view is made of these.

Written as JSON lines, tag first (`ev`), then `t_ns` in CLOCK_MONOTONIC nanoseconds. Surfaces and clients
are named by number; `client` is also the client's name, so that a line can be read alone.
"""

import msgspec


class Event(msgspec.Struct, frozen=True, tag_field="ev", kw_only=True):
    """What all events have."""

    t_ns: int


class Commit(Event, tag="commit", frozen=True, kw_only=True):
    """A client committed; `update` numbers content updates over the session. `sync`: explicit, implicit, copied, none."""

    client: str
    surface: int
    update: int
    sync: str
    acquire: int | None = None
    release: int | None = None


class Ready(Event, tag="ready", frozen=True, kw_only=True):
    """Every constraint of the update holds; it was applied with what depends on it."""

    client: str
    surface: int
    update: int


class Wait(Event, tag="wait", frozen=True, kw_only=True):
    """Who waits for whom. `edge` begin or end; `why` acquire-point, implicit-fence, user-fence, fifo, target-time.

    For fences `thread` says which one sleeps until there is news, and `call` in which call: the compositor's loop,
    which wakes for everything else too, or the commit worker of the kernel, which sleeps for this frame alone.
    """

    edge: str
    who: str
    whom: str
    why: str
    update: int
    thread: str = ""
    call: str = ""
    waited_ns: int = 0
    """At the end."""


class Latch(Event, tag="latch", frozen=True, kw_only=True):
    """What the next frame of the output shows was fixed. `how`: direct, composed, unchanged or parked.

    A parked frame is one that the kernel takes only when the user fence of its one update has signalled.
    """

    output: str
    frame: int
    target_ns: int
    margin_ns: int
    how: str
    updates: tuple[int, ...]


class Drop(Event, tag="drop", frozen=True, kw_only=True):
    """The kernel gave a parked frame up; `errno` says why: ETIME, ECANCELED (for a newer one), EINVAL."""

    output: str
    frame: int
    update: int
    errno: int


class Flip(Event, tag="flip", frozen=True, kw_only=True):
    """The display took the frame. `t_ns` is the vblank's; `target_ns` the one that was aimed at."""

    output: str
    frame: int
    sequence: int
    target_ns: int


class Release(Event, tag="release", frozen=True, kw_only=True):
    """A commit's buffer was given back; `how`: fence (transferred), signal (nothing read it any more), event."""

    client: str
    surface: int
    update: int
    how: str


class ViolationEvent(Event, tag="violation", frozen=True, kw_only=True):
    """A client broke a rule and will be disconnected."""

    client: str
    code: str
    text: str


class DeviceRefusal(Event, tag="refusal", frozen=True, kw_only=True):
    """The machine said no and a fallback was taken."""

    errno: int
    what: str


class FrameReport(Event, tag="frame", frozen=True, kw_only=True):
    """The whole life of one commit with a buffer, when it ended: presented (`presented_ns`) or discarded (None).

    `ready_ns` is when its last constraint held, `latched_ns` when a frame first took it, `target_ns` the
    vblank that frame aimed at. `waited_for` names the last constraint that held it back ("" if none).
    `missed_by_client`: refreshes gone by while it was not ready; `missed_by_others`: while another client's
    fence, forwarded, held the output; `missed_by_us`: refreshes by which it
    came later than the first vblank for whose latch it was ready and visible.
    """

    client: str
    surface: int
    update: int
    sync: str
    output: str
    committed_ns: int
    ready_ns: int | None
    latched_ns: int | None
    target_ns: int | None
    presented_ns: int | None
    sequence: int
    zero_copy: bool
    waited_for: str
    missed_by_client: int
    missed_by_others: int = 0
    missed_by_us: int


ReportEvent = (
    Commit | Ready | Wait | Latch | Flip | Drop | Release | ViolationEvent | DeviceRefusal | FrameReport
)
