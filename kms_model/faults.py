"""Faults on purpose: off until somebody asks, and the same ones every time (like fail-nth of fault-injection.rst).

A fault is written `NAME[=VALUE][:WHEN[:COUNT]]`. NAME is a call of the door, whose VALUE is the errno (EIO), or one
of `MISHAPS`. WHEN is the occasion that is the first to go wrong (1), or a time from now on, `250ms` or `2s`; COUNT is
how many go wrong (1), `*` for all. What happens by itself, without an occasion, happens at that time or at once, and
COUNT times at that interval.

Calls, wakes and flips go wrong for the DRM master only, who drives the display: testers and clients share its device.
"""

import errno
import re
from collections.abc import Mapping
from dataclasses import dataclass
from errno import EIO, ENOMEM
from typing import Final, Protocol

from syncline.kms_model import uapi
from syncline.kms_model.uapi import DeviceError, Request

NS_PER_MS: Final = 1_000_000
FOR_EVER: Final = 1 << 62

MISHAPS: Final[Mapping[str, str]] = {
    "memory": "an allocation of a syncobj call fails, whoever calls",
    "lost-wake": "an eventfd that is registered is never rung",
    "spurious-wake": "an eventfd rings as it is registered, though nothing has happened",
    "lost-flip": "a flip is shown and its event is not sent",
    "failed-job": "a GPU job ends with the errno VALUE (EIO)",
    "slow-job": "a GPU job takes VALUE longer (50ms)",
    "gpu-reset": "what the GPU has begun is lost, and its fences end with ECANCELED",
    "unplug": "the device is gone",
    "output-removed": "the cable of connector VALUE is pulled (that of the last one)",
    "output-added": "a cable is put into connector VALUE (into the last one)",
}
BY_ITSELF: Final = frozenset({"gpu-reset", "unplug", "output-removed", "output-added"})

_CALLS: Final = frozenset(
    name for name, thing in vars(uapi).items() if isinstance(thing, type) and issubclass(thing, Request)
)
_FORM: Final = re.compile(r"([A-Za-z0-9-]+)(?:=([^:]*))?(?::([^:]+))?(?::(\d{1,9}|\*))?")
_TIME: Final = re.compile(r"(\d{1,6})(ms|s)")


class NoFault(ValueError):
    """A text that names none; the message is one sentence."""


@dataclass(slots=True)
class Fault:
    """`skip` occasions pass first, or `delay_ns`; then `left` go wrong."""

    name: str
    value: str = ""
    skip: int = 0
    delay_ns: int = 0
    left: int = 1

    @property
    def errno(self) -> int:
        """That of the value; EIO without one."""
        return int(getattr(errno, self.value)) if self.value else EIO

    @property
    def extra_ns(self) -> int:
        """The value as a time; 50 ms without one."""
        return _time_ns(self.value or "50ms")


def parse(text: str) -> Fault:
    """Raises NoFault."""
    match = _FORM.fullmatch(text)
    if match is None:
        raise NoFault(f"--fault {text!r}: say NAME[=VALUE][:WHEN[:COUNT]], for example ModeAtomic=EBUSY:3:2")
    name, value, when, how_many = match.groups()
    if name not in MISHAPS and name not in _CALLS - {"Request"}:
        raise NoFault(f"--fault {name}: no such fault; a call like ModeAtomic, or {', '.join(MISHAPS)}")
    fault = Fault(name, value or "", left=FOR_EVER if how_many == "*" else int(how_many or 1))
    try:
        _check(fault)
        _set_beginning(fault, when or "")
    except ValueError as wrong:
        raise NoFault(f"--fault {text}: {wrong}") from None
    return fault


def _check(fault: Fault) -> None:
    takes_errno = fault.name == "failed-job" or fault.name in _CALLS
    if takes_errno and fault.value and fault.value not in errno.errorcode.values():
        raise ValueError(f"{fault.value} is no errno")
    if fault.name == "slow-job":
        _ = fault.extra_ns
    if fault.value and not takes_errno and fault.name not in {"slow-job", "output-removed", "output-added"}:
        raise ValueError(f"{fault.name} takes no value")
    if not fault.left:
        raise ValueError("at least once")


def _set_beginning(fault: Fault, when: str) -> None:
    if when.isdecimal() and int(when) and fault.name not in BY_ITSELF:
        fault.skip = int(when) - 1
    elif when:
        fault.delay_ns = _time_ns(when)
    if fault.name in BY_ITSELF and fault.left > 1 and not fault.delay_ns:
        raise ValueError("several times need an interval, like :2s:3")


def _time_ns(text: str) -> int:
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"{text} is neither an occasion nor a time like 250ms or 2s")
    return int(match[1]) * NS_PER_MS * (1000 if match[2] == "s" else 1)


class Clock(Protocol):
    """What faults need of the kernel."""

    @property
    def now_ns(self) -> int: ...


class Subject(Protocol):
    """Whose call, wake or flip it is."""

    @property
    def is_master(self) -> bool: ...


class Faults:
    """What will go wrong in one kernel, by name. Who comes to a place where something can asks `strikes`."""

    __slots__ = ("_clock", "armed")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.armed: dict[str, tuple[Fault, int]] = {}
        """And from when on, in ns."""

    def arm(self, fault: Fault) -> None:
        """In place of one of the same name."""
        self.armed[fault.name] = fault, self._clock.now_ns + fault.delay_ns

    def clear(self) -> None:
        self.armed.clear()

    def strikes(self, name: str, of: Subject | None = None) -> Fault | None:
        """The fault that happens on this occasion, if one does."""
        found = self.armed.get(name)
        if found is None or (of is not None and not of.is_master):
            return None
        fault, from_ns = found
        if self._clock.now_ns < from_ns:
            return None
        if fault.skip:
            fault.skip -= 1
            return None
        fault.left -= 1
        if not fault.left:
            del self.armed[name]
        return fault

    def refuse(self, name: str, of: Subject) -> None:
        """Called before a call has any effect. Raises DeviceError."""
        fault = self.strikes(name, of)
        if fault is not None:
            raise DeviceError(fault.errno, "a fault on purpose")

    def allocate(self, what: str) -> None:
        """Called where a real syncobj ioctl allocates, before it has any effect. ENOMEM."""
        if self.armed and self.strikes("memory"):
            raise DeviceError(ENOMEM, f"no memory for {what}")
