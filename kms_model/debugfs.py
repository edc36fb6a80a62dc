"""The debug node of a device, and what goes wrong with it by itself."""

from collections.abc import Callable, Mapping
from errno import EINVAL
from typing import Any, NamedTuple

from syncline.kms_model.deadlines import Deadline
from syncline.kms_model.faults import Fault, NoFault, parse
from syncline.kms_model.file import File
from syncline.kms_model.kernel import Kernel
from syncline.kms_model.uapi import ClearFaults, DeviceError, InjectFault, Request


class Mishap(NamedTuple):
    """What happens by itself. Both take the value of the fault; `check` raises DeviceError(EINVAL) beforehand."""

    happen: Callable[[str], None]
    check: Callable[[str], object] = str


class Debugfs:
    """`mishaps` are the faults that happen by themselves, by name."""

    def __init__(self, kernel: Kernel, mishaps: Mapping[str, Mishap]) -> None:
        self._kernel = kernel
        self._mishaps = mishaps
        self._booked: dict[tuple[str, str], Deadline] = {}
        """The next time of each, by name and value."""

    def ioctls(self) -> Mapping[type[Request[Any]], Callable[[File, Any], Any]]:
        return {InjectFault: self._inject, ClearFaults: self._clear}

    def inject(self, fault: Fault) -> None:
        """Now, or on its occasion. EINVAL: there is no such output."""
        mishap = self._mishaps.get(fault.name)
        if mishap is None:
            self._kernel.faults.arm(fault)
            return
        mishap.check(fault.value)
        if fault.delay_ns:
            self._book(fault, mishap)
        else:
            mishap.happen(fault.value)

    def _book(self, fault: Fault, mishap: Mishap) -> None:
        def happen() -> None:
            mishap.happen(fault.value)
            fault.left -= 1
            if fault.left:
                self._book(fault, mishap)

        which = fault.name, fault.value
        before = self._booked.get(which)
        if before is not None:
            before.cancel()
        self._booked[which] = self._kernel.call_at(self._kernel.now_ns + fault.delay_ns, happen)

    def _inject(self, _file: File, request: InjectFault) -> None:
        try:
            self.inject(parse(request.fault))
        except NoFault as wrong:
            raise DeviceError(EINVAL, str(wrong)) from None

    def _clear(self, _file: File, _request: ClearFaults) -> None:
        self._kernel.faults.clear()
        for deadline in self._booked.values():
            deadline.cancel()
        self._booked.clear()
