"""Screen captures, which say what an output shows and when the compositor has finished reading it."""

import mmap
import tempfile
from typing import Final

import numpy as np
from numpy.typing import NDArray

from syncline.conformance.client import SHM_XRGB8888
from syncline.conformance.device import Image
from syncline.conformance.thing import Thing
from syncline.conformance.trial import Trial
from syncline.conformance.verdict import Skip

CAPTURE: Final = "ext_image_copy_capture_manager_v1"
SOURCE: Final = "ext_output_image_capture_source_manager_v1"
Pixels = NDArray[np.uint32]
Rect = tuple[int, int, int, int]


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


class Recorder:
    """Keeps one picture of the first output up to date, in shared memory. A client of its own. Raises Skip."""

    def __init__(self, trial: Trial, name: str) -> None:
        self._trial = trial
        client = trial.client(name)
        source = client.bind(SOURCE).make("create_source", client.bind("wl_output"))
        self._session = client.bind(CAPTURE).make("create_session", source, 0)
        trial.expect(lambda: self._session.count("done") > 0, "the capture session's constraints")
        formats = [each.arguments for each in self._session.heard if each.event == "shm_format"]
        if (SHM_XRGB8888,) not in formats:
            raise Skip("captures in XRGB8888 of shared memory")
        self._width, self._height = self._session.last("buffer_size") or (0, 0)
        size = self._width * self._height * 4
        with tempfile.TemporaryFile() as file:
            file.truncate(size)
            self._memory = mmap.mmap(file.fileno(), size)
            pool = client.bind("wl_shm").make("create_pool", file.fileno(), size)
        layout = self._width, self._height, self._width * 4
        self._buffer = pool.make("create_buffer", 0, *layout, SHM_XRGB8888)

    def update(self, *, whole: bool = False) -> list[Rect]:
        """Ask for what has changed, or for everything; what the compositor says was new."""
        frame = self._session.make("create_frame")
        frame.send("attach_buffer", self._buffer)
        if whole:
            frame.send("damage_buffer", 0, 0, self._width, self._height)
        frame.send("capture")
        self._trial.expect(lambda: frame.count("ready") + frame.count("failed") > 0, "the end of a capture")
        self._trial.check(frame.count("ready") == 1, "the capture failed")
        frame.send("destroy")
        return [each.arguments for each in frame.heard if each.event == "damage"]

    def shows(self, colour: int) -> NDArray[np.bool_]:
        """Of each pixel whether it has that colour."""
        pixels: Pixels = np.frombuffer(self._memory, dtype="<u4").reshape(self._height, self._width)
        found: NDArray[np.bool_] = (pixels & np.uint32(0xFF_FFFF)) == colour
        return found

    def inside(self, rects: list[Rect]) -> NDArray[np.bool_]:
        """Of each pixel whether it is in one of them."""
        found = np.zeros((self._height, self._width), dtype=np.bool_)
        for x, y, width, height in rects:
            found[y : y + height, x : x + width] = True
        return found
