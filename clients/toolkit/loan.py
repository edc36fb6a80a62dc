"""What is owed to us: an image that is with the compositor until it says otherwise."""

from syncline.clients.toolkit import report
from syncline.clients.toolkit.loop import Context


class Loan:
    """Whether an image is with the compositor, and since when."""

    def __init__(self, context: Context, *, image: int) -> None:
        self.image = image
        self.out = False
        self.point = 0
        self._context = context
        self._since_ns = 0

    def begin(self, *, point: int = 0) -> None:
        """The commit that follows gives the image away until `point`, or until wl_buffer.release."""
        assert not self.out, f"image {self.image} is with the compositor"
        self.out = True
        self.point = point
        self._since_ns = self._context.now_ns()
        self._context.tally.owed += 1

    def end(self) -> None:
        """The compositor is done with it."""
        assert self.out, f"image {self.image} was not with the compositor"
        self.out = False
        self._context.tally.paid += 1
        now_ns = self._context.now_ns()
        self._context.emit(
            report.Released(
                t_ns=now_ns,
                client=self._context.options.client_id,
                image=self.image,
                release_point=self.point,
                held_ns=now_ns - self._since_ns,
            )
        )
        self._context.beat()
