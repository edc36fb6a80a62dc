"""Three images that go round: what a client that paces itself by release points lives on."""

from typing import Final

from syncline.conformance.thing import Thing
from syncline.conformance.trial import Trial
from syncline.conformance.window import Canvas, Frame

IMAGES: Final = 3


class Pool:
    """Of one surface. An image is free again when its release point is reached."""

    def __init__(self, trial: Trial, canvas: Canvas) -> None:
        self._trial = trial
        self._canvas = canvas
        self._free = [canvas.image() for _ in range(IMAGES)]
        self._lent: list[tuple[Thing, Frame]] = []

    def show_next(self, *, within_ns: int) -> Frame:
        """Commit an image as soon as one is free. Raises Failure if none is in time."""
        self._trial.expect(self._has_some, "an image back", within_ns=within_ns)
        image = self._free.pop(0)
        frame = self._canvas.show(image)
        self._lent.append((image, frame))
        return frame

    def expect_one_back(self, *, within_ns: int) -> None:
        """Raises Failure."""
        self._trial.expect(self._has_some, "an image back", within_ns=within_ns)

    def _has_some(self) -> bool:
        back = [each for each in self._lent if each[1].is_released]
        self._lent = [each for each in self._lent if each not in back]
        self._free += [image for image, _ in back]
        for _, frame in back:
            frame.forget()
        return bool(self._free)
