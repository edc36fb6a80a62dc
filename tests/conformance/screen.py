"""What the display does, by the tester's own file: the vblanks of its screens."""

from dataclasses import dataclass

from syncline.conformance.device import Device
from syncline.kms_model.uapi import CrtcGetSequence, ModeGetConnector, ModeGetResources


@dataclass(frozen=True, slots=True)
class Vblanks:
    """Of one screen: one of them, from which the others follow."""

    output: str
    time_ns: int
    refresh_ns: int

    def first_after(self, time_ns: int) -> int:
        """The first one at or after that time."""
        return self.time_ns - (self.time_ns - time_ns) // self.refresh_ns * self.refresh_ns

    def away_ns(self, time_ns: int) -> int:
        """How far that time is from the nearest one."""
        late_ns = (time_ns - self.time_ns) % self.refresh_ns
        return min(late_ns, self.refresh_ns - late_ns)


def vblanks(device: Device) -> list[Vblanks]:
    """Of every screen that is on, in the compositor's order; each has the first CRTC that no other has."""
    found, taken = [], set[int]()
    call = device.file.call
    for each in call(ModeGetResources()).connectors:
        connector = call(ModeGetConnector(each))
        if connector.connected and connector.modes and not connector.writeback:
            crtc = next(each for each in connector.possible_crtcs if each not in taken)
            taken.add(crtc)
            last = call(CrtcGetSequence(crtc_id=crtc))
            found.append(Vblanks(connector.name, last.time_ns, connector.modes[0].refresh_ns))
    return found
