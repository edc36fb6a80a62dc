"""What every operation of the scenario format is: a record with symbols in it, and a way to perform it."""

from collections.abc import Iterable, Mapping
from typing import ClassVar, Final

import msgspec

from syncline.lab.replay.process import Process

Operand = int | str
"""A number is passed as it is; a string is a symbol that an earlier `as` bound."""

Out = dict[str, object]
"""What an operation reports and the comparison looks at."""

U32: Final = 0xFFFF_FFFF
U64: Final = 0xFFFF_FFFF_FFFF_FFFF


class Op(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="op"):
    """`bind` ("as" in the file) names the result; a `required` one that fails skips the scenario."""

    bind: str | None = msgspec.field(name="as", default=None)
    required: bool = False

    async def run(self, process: Process) -> Out | None:
        """Perform it. Raises DeviceError, OSError or Unbound where the recorder would have failed."""
        raise NotImplementedError


class FlaggedOp(Op, frozen=True, kw_only=True):
    """`flags`: a number, or names (and numbers) to be or-ed."""

    NAMES: ClassVar[Mapping[str, int]] = {}

    flags: int | tuple[int | str, ...] = 0

    def __post_init__(self) -> None:
        if isinstance(self.flags, int):
            return
        for flag in self.flags:
            if isinstance(flag, str) and flag not in self.NAMES:
                known = ", ".join(self.NAMES) or "numbers only"
                raise ValueError(f"unknown flag {flag!r} (known here: {known})")

    @property
    def bits(self) -> int:
        if isinstance(self.flags, int):
            return self.flags & U32
        value = 0
        for flag in self.flags:
            value |= self.NAMES[flag] if isinstance(flag, str) else flag
        return value & U32


def unsigned32(numbers: Iterable[int]) -> tuple[int, ...]:
    """As a C array of __u32 would take them."""
    return tuple(number & U32 for number in numbers)


def unsigned64(numbers: Iterable[int]) -> tuple[int, ...]:
    """As a C array of __u64 would take them."""
    return tuple(number & U64 for number in numbers)


def signed64(number: int) -> int:
    """A __u64 read as the __s64 that it holds."""
    number &= U64
    return number - (1 << 64) if number >> 63 else number
