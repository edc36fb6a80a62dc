"""What a demo is told: one record for every client, in process or from the command line."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Final

from cyclopts import Parameter, Token
from cyclopts.validators import Number

from syncline.clients.toolkit.breach import Breach
from syncline.kms_model.loops import NS_PER_S

NS_PER_MS: Final = 1_000_000

SIDE_MAX: Final = 8192
"""What a display takes."""
TITLE_MAX: Final = 512
"""What one Text command of the GPU takes."""

Size = tuple[int, int]


def parse_size(_kind: type, tokens: Sequence[Token]) -> Size:
    """`WxH` in pixels. Raises ValueError."""
    width, _, height = tokens[0].value.partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise ValueError(f"{tokens[0].value!r} is not WIDTHxHEIGHT")
    if max(int(width), int(height)) > SIDE_MAX:
        raise ValueError(f"{tokens[0].value!r} has a side of more than {SIDE_MAX} pixels")
    return int(width), int(height)


def check_title(_kind: type, title: str) -> None:
    """Raises ValueError."""
    if len(title) > TITLE_MAX:
        raise ValueError(f"{len(title)} characters, and {TITLE_MAX} are drawn at most")


NOT_NEGATIVE: Final = Parameter(validator=Number(gte=0))
POSITIVE: Final = Parameter(validator=Number(gte=1))


class Mode(Enum):
    """When the next frame is begun, in the words of weston-presentation-shm."""

    FEEDBACK = "feedback"
    """At the frame callback."""
    IDLE = "idle"
    """At the frame callback and a pause after it, so that the compositor falls asleep in between."""
    LOW_LATENCY = "low-latency"
    """At the presentation feedback: the frame before is on the screen."""


class Wire(Enum):
    """The two ways to say the same."""

    WAYLAND = "wayland"
    ZMQ = "zmq"


@Parameter(name="*", negative="", show_default=False)
@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """Flags common to all demos."""

    socket: str = ""
    """Wayland socket: a name in $XDG_RUNTIME_DIR or a path (default: $WAYLAND_DISPLAY)."""

    device: str = ""
    """Device node (default: $XDG_RUNTIME_DIR/syncline/card0)."""

    wire: Wire = Wire.WAYLAND
    """How to talk to the compositor: over its Wayland socket, or in messages over ZeroMQ."""

    endpoint: str = ""
    """Where it takes messages (default: ipc://$XDG_RUNTIME_DIR/syncline/messages)."""

    keys: str = ""
    """Folder of CURVE keys, for an endpoint on another machine."""

    record: str = ""
    """Record every message into this file, for `syncline trace`."""

    size: Annotated[Size, Parameter(converter=parse_size, n_tokens=1, metavar="WxH")] = (256, 256)
    """Window size in pixels (default: 256x256); the compositor may ask for another."""

    gpu_ms: Annotated[float | None, NOT_NEGATIVE] = None
    """Engine time of one frame's job in milliseconds (default: the demo's own)."""

    rate: Annotated[float, NOT_NEGATIVE] = 0.0
    """Frames per second on a clock of the client's own; 0: as `mode` says."""

    buffers: Annotated[int | None, POSITIVE] = None
    """Images in the swapchain (default: the demo's own)."""

    mode: Mode = Mode.FEEDBACK
    """When the next frame is begun (default: feedback)."""

    random_phase: bool = False
    """Begin every frame up to one refresh later, by lot, so that commits fall at every phase of the display."""

    frames: Annotated[int, NOT_NEGATIVE] = 0
    """End after so many frames; 0: no limit."""

    seconds: Annotated[float, NOT_NEGATIVE] = 0.0
    """End after so many seconds; 0: no limit."""

    fullscreen: bool = False
    """Ask for the whole output."""

    maximised: bool = False
    """Ask for all the room windows may have."""

    title: Annotated[str, Parameter(validator=check_title)] = ""
    """Window title, also drawn in the image (default: the demo's name)."""

    client_id: Annotated[int, NOT_NEGATIVE] = 1
    """Number in the frame tag, so that a checker can tell clients apart (default: 1)."""

    events: str = ""
    """Where the event stream goes: a path, or fd:N for an inherited descriptor."""

    seed: int = 0
    """Seed of everything random: phases of --rate and --random-phase, pauses of --mode idle."""

    signal_early: bool = False
    """Break the promise: signal the acquire point before the GPU is done (solid and hog only)."""

    no_thread: bool = False
    """Have the kernel wait for a user fence in a call of the thread that draws: its last resort (submit-thread only)."""

    breaks: Breach | None = None
    """Which rule to break (rude only, which needs one)."""

    @property
    def gpu_ns(self) -> int:
        """Engine time of one job in ns; a demo has filled in its own default by then."""
        assert self.gpu_ms is not None, "the catalogue fills in the demo's default"
        return round(self.gpu_ms * NS_PER_MS)

    @property
    def duration_ns(self) -> int:
        """Length of the run in ns; 0 without --seconds."""
        return round(self.seconds * NS_PER_S)

    @property
    def period_ns(self) -> int:
        """Length of one frame on the client's own clock in ns; 0 without --rate."""
        return round(NS_PER_S / self.rate) if self.rate else 0


DEFAULTS: Final = Options()
