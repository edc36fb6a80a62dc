"""Screen captures, which say what an output shows and when the compositor has finished reading it."""

from typing import Final

from syncline.conformance.device import Image
from syncline.conformance.thing import Thing
from syncline.conformance.trial import Trial

CAPTURE: Final = "ext_image_copy_capture_manager_v1"
SOURCE: Final = "ext_output_image_capture_source_manager_v1"
XRGB8888: Final = 0x34325258


class Camera:
    """Takes pictures of the first output. A client of its own."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial
        self._client = trial.client("camera")
        source = self._client.bind(SOURCE).make("create_source", self._client.bind("wl_output"))
        self._session = self._client.bind(CAPTURE).make("create_session", source, 0)
        trial.expect(lambda: self._session.count("done") > 0, "the capture session's constraints")
        width, height = self._session.last("buffer_size") or (0, 0)
        self._image = trial.device.image(width, height, 0)
        self._buffer = self._client.buffer(self._image)

    def begin(self) -> Thing:
        """Ask for a picture; `ready` is heard when the copy has finished. One at a time."""
        frame = self._session.make("create_frame")
        frame.send("attach_buffer", self._buffer)
        frame.send("damage_buffer", 0, 0, self._image.width, self._image.height)
        frame.send("capture")
        return frame

    def finish(self, frame: Thing) -> Image:
        self._trial.expect(lambda: frame.count("ready") + frame.count("failed") > 0, "the end of a capture")
        self._trial.check(frame.count("ready") == 1, "the capture failed")
        frame.send("destroy")
        return self._image

    def photograph(self) -> Image:
        """What is to be seen now."""
        return self.finish(self.begin())
