"""What an operation and a run came to: the shape of a results file, without what is never compared."""

import errno
from typing import Any, Final

import msgspec

from syncline.kms_model.task import ERESTARTSYS

UNCOMPARED: Final = "t"


class Result(msgspec.Struct, omit_defaults=True):
    """`errno` is a name; "unbound: x" means that an operand was never created."""

    op: str
    ok: bool
    errno: str | None = None
    out: dict[str, Any] = {}

    def normal(self) -> "Result":
        """Without times, at any depth."""
        return Result(self.op, self.ok, self.errno, _comparable(self.out))


class Run(msgspec.Struct):
    """One scenario on one device. `status`: ok, skipped: …, runner error: …, killed: …."""

    status: str
    ops: list[Result] = []
    kernel_log: list[str] = []


class Environment(msgspec.Struct):
    kernel: str = ""


class Results(msgspec.Struct):
    """A results file: what one kernel did, by scenario@device."""

    results: dict[str, Run]
    environment: Environment = msgspec.field(default_factory=Environment)


def _comparable(value: Any) -> Any:
    match value:
        case dict():
            clean = {key: _comparable(item) for key, item in value.items() if key != UNCOMPARED}
            return {key: item for key, item in clean.items() if key != "out" or item}
        case list() | tuple():
            return [_comparable(item) for item in value]
        case _:
            return value


def errno_name(number: int) -> str:
    """EOPNOTSUPP where Python prefers ENOTSUP; ERESTARTSYS is what user space sees as EINTR."""
    if number == errno.EOPNOTSUPP:
        return "EOPNOTSUPP"
    if number == ERESTARTSYS:
        return "EINTR"
    return errno.errorcode.get(number, str(number))
