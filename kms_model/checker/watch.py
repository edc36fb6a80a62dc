"""A whole machine under the checker, or only its buffers: from its first call to what it leaves behind."""

from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Final

from syncline.kms_model.checker.checker import Checker
from syncline.kms_model.checker.known import STAMPS
from syncline.kms_model.checker.ledger import Ledger, Policy
from syncline.kms_model.checker.races import Races
from syncline.kms_model.checker.report import Report, as_text
from syncline.kms_model.device import Device
from syncline.kms_model.kernel import Kernel
from syncline.kms_model.trace import Warn

LINGER_NS: Final = 30_000_000_000
"""After everybody has gone: longer than anything that is bounded takes."""


class Rules(StrEnum):
    ALL = "all"
    BUFFERS = "buffers"
    """K21 and K22 alone: cheap enough to be on while somebody looks at the frame rate."""


def watch(kernel: Kernel, policy: Policy, *, say: Callable[[str], None]) -> Checker:
    """All rules. Reports go to `say` and to the kernel's trace."""
    return Checker(kernel, Ledger(policy, known=(STAMPS,), tell=_teller(kernel, say)))


def watch_buffers(kernel: Kernel, policy: Policy, *, say: Callable[[str], None]) -> Ledger:
    """Those about buffers. There are no books to close."""
    return Races(kernel, Ledger(policy, tell=_teller(kernel, say))).ledger


def _teller(kernel: Kernel, say: Callable[[str], None]) -> Callable[[Report], None]:
    def tell(report: Report) -> None:
        text = as_text(report)
        say(text)
        if kernel.trace is not None:
            kernel.trace(Warn(report.t_ns, report.rule, report.sentence(), text))

    return tell


def close_books(checker: Checker, kernel: Kernel, devices: Iterable[Device], *, alone: bool) -> None:
    """The files are closed: wait in model time for what is bounded, then look at what is left (K24).

    `alone`: nobody outside is left, so that nobody should hold a descriptor either.
    """
    kernel.trace = None
    kernel.descriptors.collect()
    kernel.advance(kernel.now_ns + LINGER_NS)
    kernel.descriptors.collect()
    kernel.settle()
    checker.end(
        pinned=[
            f"{device.profile.name}: a commit under way"
            for device in devices
            for _ in device.kms.display.states
        ],
        referred=[type(thing).__name__ for thing in kernel.descriptors.known()] if alone else (),
    )
