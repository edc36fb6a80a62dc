"""Our queue on the GPU: compositions run in the order they were submitted, whichever output they are for.

So one that waits for a client's unfinished picture holds up those behind it, on other screens too.
"""

from syncline.compositor.core.frame import Frame
from syncline.compositor.core.loan import Loan


class CompositionQueue:
    """Frames whose composition may still wait for somebody."""

    def __init__(self) -> None:
        self._waiting: dict[Frame, frozenset[Loan]] = {}

    def enter(self, frame: Frame) -> None:
        """Its composition was submitted: it waits for its own unfinished pictures and for those of all before it."""
        own = frozenset(loan for loan in frame.read if loan in frame.waits_for)
        for others in self._waiting.values():
            frame.waits_for |= others
        if own:
            self._waiting[frame] = own

    def leave(self, frame: Frame) -> None:
        """It is on the screen, or never will be."""
        self._waiting.pop(frame, None)
