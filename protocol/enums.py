"""The enums of the protocols that the compositor speaks, written out so that types can be checked.

Names are the XML's in capitals, inside a class per interface. A test compares every line with
pywayland's tables. `wl_shm.format` is left to the schema: apart from its 0 and 1 it is DRM's fourcc list.
"""

# ruff: noqa: D106  the XML's names say what there is to say

from enum import IntEnum, IntFlag


class WlDisplay:
    class Error(IntEnum):
        INVALID_OBJECT = 0
        INVALID_METHOD = 1
        NO_MEMORY = 2
        IMPLEMENTATION = 3


class WlFixes:
    class Error(IntEnum):
        INVALID_ACK_REMOVE = 0


class WlShm:
    class Error(IntEnum):
        INVALID_FORMAT = 0
        INVALID_STRIDE = 1
        INVALID_FD = 2


class WlSurface:
    class Error(IntEnum):
        INVALID_SCALE = 0
        INVALID_TRANSFORM = 1
        INVALID_SIZE = 2
        INVALID_OFFSET = 3
        DEFUNCT_ROLE_OBJECT = 4
        NO_BUFFER = 5


class WlSubcompositor:
    class Error(IntEnum):
        BAD_SURFACE = 0
        BAD_PARENT = 1


class WlSubsurface:
    class Error(IntEnum):
        BAD_SURFACE = 0


class WlOutput:
    class Subpixel(IntEnum):
        UNKNOWN = 0
        NONE = 1
        HORIZONTAL_RGB = 2
        HORIZONTAL_BGR = 3
        VERTICAL_RGB = 4
        VERTICAL_BGR = 5

    class Transform(IntEnum):
        NORMAL = 0
        TRANSFORM_90 = 1
        TRANSFORM_180 = 2
        TRANSFORM_270 = 3
        FLIPPED = 4
        FLIPPED_90 = 5
        FLIPPED_180 = 6
        FLIPPED_270 = 7

    class Mode(IntFlag):
        CURRENT = 1
        PREFERRED = 2


class WlSeat:
    class Capability(IntFlag):
        POINTER = 1
        KEYBOARD = 2
        TOUCH = 4

    class Error(IntEnum):
        MISSING_CAPABILITY = 0


class WlPointer:
    class Error(IntEnum):
        ROLE = 0

    class ButtonState(IntEnum):
        RELEASED = 0
        PRESSED = 1

    class Axis(IntEnum):
        VERTICAL_SCROLL = 0
        HORIZONTAL_SCROLL = 1

    class AxisSource(IntEnum):
        WHEEL = 0
        FINGER = 1
        CONTINUOUS = 2
        WHEEL_TILT = 3

    class AxisRelativeDirection(IntEnum):
        IDENTICAL = 0
        INVERTED = 1


class WlKeyboard:
    class KeymapFormat(IntEnum):
        NO_KEYMAP = 0
        XKB_V1 = 1

    class KeyState(IntEnum):
        RELEASED = 0
        PRESSED = 1
        REPEATED = 2


class WlDataDeviceManager:
    class DndAction(IntFlag):
        NONE = 0
        COPY = 1
        MOVE = 2
        ASK = 4


class WlDataOffer:
    class Error(IntEnum):
        INVALID_FINISH = 0
        INVALID_ACTION_MASK = 1
        INVALID_ACTION = 2
        INVALID_OFFER = 3


class WlDataSource:
    class Error(IntEnum):
        INVALID_ACTION_MASK = 0
        INVALID_SOURCE = 1


class WlDataDevice:
    class Error(IntEnum):
        ROLE = 0
        USED_SOURCE = 1


class XdgWmBase:
    class Error(IntEnum):
        ROLE = 0
        DEFUNCT_SURFACES = 1
        NOT_THE_TOPMOST_POPUP = 2
        INVALID_POPUP_PARENT = 3
        INVALID_SURFACE_STATE = 4
        INVALID_POSITIONER = 5
        UNRESPONSIVE = 6


class XdgPositioner:
    class Error(IntEnum):
        INVALID_INPUT = 0

    class Anchor(IntEnum):
        NONE = 0
        TOP = 1
        BOTTOM = 2
        LEFT = 3
        RIGHT = 4
        TOP_LEFT = 5
        BOTTOM_LEFT = 6
        TOP_RIGHT = 7
        BOTTOM_RIGHT = 8

    class Gravity(IntEnum):
        NONE = 0
        TOP = 1
        BOTTOM = 2
        LEFT = 3
        RIGHT = 4
        TOP_LEFT = 5
        BOTTOM_LEFT = 6
        TOP_RIGHT = 7
        BOTTOM_RIGHT = 8

    class ConstraintAdjustment(IntFlag):
        NONE = 0
        SLIDE_X = 1
        SLIDE_Y = 2
        FLIP_X = 4
        FLIP_Y = 8
        RESIZE_X = 16
        RESIZE_Y = 32


class XdgSurface:
    class Error(IntEnum):
        NOT_CONSTRUCTED = 1
        ALREADY_CONSTRUCTED = 2
        UNCONFIGURED_BUFFER = 3
        INVALID_SERIAL = 4
        INVALID_SIZE = 5
        DEFUNCT_ROLE_OBJECT = 6


class XdgToplevel:
    class Error(IntEnum):
        INVALID_RESIZE_EDGE = 0
        INVALID_PARENT = 1
        INVALID_SIZE = 2

    class ResizeEdge(IntEnum):
        NONE = 0
        TOP = 1
        BOTTOM = 2
        LEFT = 4
        TOP_LEFT = 5
        BOTTOM_LEFT = 6
        RIGHT = 8
        TOP_RIGHT = 9
        BOTTOM_RIGHT = 10

    class State(IntEnum):
        MAXIMIZED = 1
        FULLSCREEN = 2
        RESIZING = 3
        ACTIVATED = 4
        TILED_LEFT = 5
        TILED_RIGHT = 6
        TILED_TOP = 7
        TILED_BOTTOM = 8
        SUSPENDED = 9
        CONSTRAINED_LEFT = 10
        CONSTRAINED_RIGHT = 11
        CONSTRAINED_TOP = 12
        CONSTRAINED_BOTTOM = 13

    class WmCapabilities(IntEnum):
        WINDOW_MENU = 1
        MAXIMIZE = 2
        FULLSCREEN = 3
        MINIMIZE = 4


class XdgPopup:
    class Error(IntEnum):
        INVALID_GRAB = 0


class ZxdgToplevelDecorationV1:
    class Error(IntEnum):
        UNCONFIGURED_BUFFER = 0
        ALREADY_CONSTRUCTED = 1
        ORPHANED = 2
        INVALID_MODE = 3

    class Mode(IntEnum):
        CLIENT_SIDE = 1
        SERVER_SIDE = 2


class ZwpLinuxBufferParamsV1:
    class Error(IntEnum):
        ALREADY_USED = 0
        PLANE_IDX = 1
        PLANE_SET = 2
        INCOMPLETE = 3
        INVALID_FORMAT = 4
        INVALID_DIMENSIONS = 5
        OUT_OF_BOUNDS = 6
        INVALID_WL_BUFFER = 7
        INVALID_DEV_T_SIZE = 8

    class Flags(IntFlag):
        Y_INVERT = 1
        INTERLACED = 2
        BOTTOM_FIRST = 4


class ZwpLinuxDmabufFeedbackV1:
    class TrancheFlags(IntFlag):
        SCANOUT = 1
        SAMPLING = 2


class WpLinuxDrmSyncobjManagerV1:
    class Error(IntEnum):
        SURFACE_EXISTS = 0
        INVALID_TIMELINE = 1


class WpLinuxDrmSyncobjSurfaceV1:
    class Error(IntEnum):
        NO_SURFACE = 1
        UNSUPPORTED_BUFFER = 2
        NO_BUFFER = 3
        NO_ACQUIRE_POINT = 4
        NO_RELEASE_POINT = 5
        CONFLICTING_POINTS = 6


class WpPresentation:
    class Error(IntEnum):
        INVALID_TIMESTAMP = 0
        INVALID_FLAG = 1


class WpPresentationFeedback:
    class Kind(IntFlag):
        VSYNC = 1
        HW_CLOCK = 2
        HW_COMPLETION = 4
        ZERO_COPY = 8


class WpFifoManagerV1:
    class Error(IntEnum):
        ALREADY_EXISTS = 0


class WpFifoV1:
    class Error(IntEnum):
        SURFACE_DESTROYED = 0


class WpCommitTimingManagerV1:
    class Error(IntEnum):
        COMMIT_TIMER_EXISTS = 0


class WpCommitTimerV1:
    class Error(IntEnum):
        INVALID_TIMESTAMP = 0
        TIMESTAMP_EXISTS = 1
        SURFACE_DESTROYED = 2


class WpTearingControlManagerV1:
    class Error(IntEnum):
        TEARING_CONTROL_EXISTS = 0


class WpTearingControlV1:
    class PresentationHint(IntEnum):
        VSYNC = 0
        ASYNC_ = 1


class WpViewporter:
    class Error(IntEnum):
        VIEWPORT_EXISTS = 0


class WpViewport:
    class Error(IntEnum):
        BAD_VALUE = 0
        BAD_SIZE = 1
        OUT_OF_BUFFER = 2
        NO_SURFACE = 3


class WpFractionalScaleManagerV1:
    class Error(IntEnum):
        FRACTIONAL_SCALE_EXISTS = 0


class WpContentTypeManagerV1:
    class Error(IntEnum):
        ALREADY_CONSTRUCTED = 0


class WpContentTypeV1:
    class Type(IntEnum):
        NONE = 0
        PHOTO = 1
        VIDEO = 2
        GAME = 3


class WpAlphaModifierV1:
    class Error(IntEnum):
        ALREADY_CONSTRUCTED = 0


class WpAlphaModifierSurfaceV1:
    class Error(IntEnum):
        NO_SURFACE = 0


class ExtImageCopyCaptureManagerV1:
    class Error(IntEnum):
        INVALID_OPTION = 1

    class Options(IntFlag):
        PAINT_CURSORS = 1


class ExtImageCopyCaptureSessionV1:
    class Error(IntEnum):
        DUPLICATE_FRAME = 1


class ExtImageCopyCaptureFrameV1:
    class Error(IntEnum):
        NO_BUFFER = 1
        INVALID_BUFFER_DAMAGE = 2
        ALREADY_CAPTURED = 3

    class FailureReason(IntEnum):
        UNKNOWN = 0
        BUFFER_CONSTRAINTS = 1
        STOPPED = 2


class ExtImageCopyCaptureCursorSessionV1:
    class Error(IntEnum):
        DUPLICATE_SESSION = 1


class ZwpLinuxExplicitSynchronizationV1:
    class Error(IntEnum):
        SYNCHRONIZATION_EXISTS = 0


class ZwpLinuxSurfaceSynchronizationV1:
    class Error(IntEnum):
        INVALID_FENCE = 0
        DUPLICATE_FENCE = 1
        DUPLICATE_RELEASE = 2
        NO_SURFACE = 3
        UNSUPPORTED_BUFFER = 4
        NO_BUFFER = 5


class WpCursorShapeDeviceV1:
    class Shape(IntEnum):
        DEFAULT = 1
        CONTEXT_MENU = 2
        HELP = 3
        POINTER = 4
        PROGRESS = 5
        WAIT = 6
        CELL = 7
        CROSSHAIR = 8
        TEXT = 9
        VERTICAL_TEXT = 10
        ALIAS = 11
        COPY = 12
        MOVE = 13
        NO_DROP = 14
        NOT_ALLOWED = 15
        GRAB = 16
        GRABBING = 17
        E_RESIZE = 18
        N_RESIZE = 19
        NE_RESIZE = 20
        NW_RESIZE = 21
        S_RESIZE = 22
        SE_RESIZE = 23
        SW_RESIZE = 24
        W_RESIZE = 25
        EW_RESIZE = 26
        NS_RESIZE = 27
        NESW_RESIZE = 28
        NWSE_RESIZE = 29
        COL_RESIZE = 30
        ROW_RESIZE = 31
        ALL_SCROLL = 32
        ZOOM_IN = 33
        ZOOM_OUT = 34
        DND_ASK = 35
        ALL_RESIZE = 36

    class Error(IntEnum):
        INVALID_SHAPE = 1


class XdgActivationTokenV1:
    class Error(IntEnum):
        ALREADY_USED = 0
