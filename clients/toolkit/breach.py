"""The rules that `rude` breaks, one at a time."""

from enum import Enum


class Breach(Enum):
    """Of synchronisation, of manners, and of protocols: those last are answered with the error of that name."""

    EARLY_REUSE = "early-reuse"
    """Paints over an image that the compositor still has."""
    MISSING_ACQUIRE = "missing-acquire"
    """Signals the acquire point before the job that it is to wait for."""
    OVERSYNC = "oversync"
    """Has every frame's job wait for one that has nothing to do with it."""
    NEVER_SIGNALS = "never-signals"
    """Commits with acquire points that nobody signals."""

    NEVER_READS = "never-reads"
    """Asks and asks, and leaves the answers on the socket."""
    FLOODS = "floods"
    """Thousands of requests with each frame."""
    DIES = "dies"
    """Hangs up in the middle of a frame, with its job under way."""

    SURFACE_EXISTS = "surface-exists"
    """A second explicit sync object for one surface."""
    INVALID_TIMELINE = "invalid-timeline"
    """A timeline made of a descriptor that is none."""
    NO_SURFACE = "no-surface"
    """A point for a surface that is gone."""
    UNSUPPORTED_BUFFER = "unsupported-buffer"
    """Points for shared memory."""
    NO_BUFFER = "no-buffer"
    """Points, and nothing attached."""
    NO_ACQUIRE_POINT = "no-acquire-point"
    """A buffer without an acquire point."""
    NO_RELEASE_POINT = "no-release-point"
    """A buffer without a release point."""
    CONFLICTING_POINTS = "conflicting-points"
    """Released before it is acquired, on one timeline."""
    UNCONFIGURED_BUFFER = "unconfigured-buffer"
    """An image before the first configure."""
    INVALID_SERIAL = "invalid-serial"
    """Acknowledges a configure that never was."""
    INVALID_STRIDE = "invalid-stride"
    """Rows of shared memory that overlap."""
    INVALID_SCALE = "invalid-scale"
    """A buffer scale of zero."""
    BAD_PARENT = "bad-parent"
    """A surface that is its own parent."""
    INCOMPLETE = "incomplete"
    """A dma-buf without planes."""

    @property
    def is_protocol_error(self) -> bool:
        """The compositor answers with a protocol error, whose name is this one's with underscores."""
        return list(Breach).index(self) >= list(Breach).index(Breach.SURFACE_EXISTS)

    @property
    def error(self) -> str:
        """As the XML calls it."""
        return self.value.replace("-", "_")
