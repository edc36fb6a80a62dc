"""wp_presentation: when a commit became light."""

from typing import Final

from syncline.compositor.core.effects import Discarded, Presented
from syncline.compositor.wayland.session import Session
from syncline.compositor.wayland.surface import WlSurface
from syncline.protocol.object import NewId, Resource

CLOCK_MONOTONIC: Final = 1
NS_PER_S: Final = 1_000_000_000


class WpPresentation(Resource):
    interface = "wp_presentation"
    up_to = 2

    def __init__(self, new: NewId, session: Session) -> None:
        super().__init__(new)
        self._session = session
        self.send("clock_id", CLOCK_MONOTONIC)  # P1

    def feedback(self, surface: WlSurface, new: NewId) -> None:
        surface.surface.pending.feedbacks.append(WpPresentationFeedback(new, self._session))

    def destroy(self) -> None:
        """Feedback that was asked for still comes."""


class WpPresentationFeedback(Resource):
    """Ends with exactly one of presented and discarded (P2)."""

    interface = "wp_presentation_feedback"
    up_to = 2

    def __init__(self, new: NewId, session: Session) -> None:
        super().__init__(new)
        self._session = session

    def answer(self, effect: Presented | Discarded) -> None:
        """Say it, and end."""
        if isinstance(effect, Discarded):
            self.send("discarded")
        else:
            self._tell(effect)
        self.finish()

    def _tell(self, effect: Presented) -> None:
        for output in self._session.outputs.get(effect.output, ()):
            self.send("sync_output", output)  # P5
        seconds, nanoseconds = divmod(effect.time_ns, NS_PER_S)
        self.send("presented", seconds, nanoseconds, effect.refresh_ns, effect.sequence, effect.flags)
