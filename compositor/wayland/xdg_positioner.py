"""xdg_positioner: rules that a popup takes by value."""

from dataclasses import replace
from typing import Final

from syncline.compositor.core.geometry import Rect
from syncline.compositor.core.shell import Positioner
from syncline.protocol.enums import XdgPositioner as XdgPositionerEnums, XdgWmBase as XdgWmBaseEnums
from syncline.protocol.object import NewId, Resource

_Error = XdgPositionerEnums.Error
_ANCHORS: Final = frozenset(XdgPositionerEnums.Anchor)
_GRAVITIES: Final = frozenset(XdgPositionerEnums.Gravity)


class XdgPositioner(Resource):
    interface = "xdg_positioner"

    def __init__(self, new: NewId) -> None:
        super().__init__(new)
        self._rules = Positioner(width=0, height=0, anchor_rect=Rect(0, 0, -1, -1))

    def complete_rules(self, *, blaming: Resource) -> Positioner:
        """What a popup takes. `blaming` is the xdg_wm_base that gets invalid_positioner when parts are missing."""
        if self._rules.width <= 0 or self._rules.anchor_rect.width < 0:
            error = XdgWmBaseEnums.Error.INVALID_POSITIONER
            raise blaming.error(error, "a positioner needs a size and an anchor rectangle")
        return self._rules

    def set_size(self, width: int, height: int) -> None:
        if width <= 0 or height <= 0:
            raise self.error(_Error.INVALID_INPUT, f"a size of {width}x{height}")
        self._rules = replace(self._rules, width=width, height=height)

    def set_anchor_rect(self, x: int, y: int, width: int, height: int) -> None:
        if width < 0 or height < 0:
            raise self.error(_Error.INVALID_INPUT, f"an anchor rectangle of {width}x{height}")
        self._rules = replace(self._rules, anchor_rect=Rect(x, y, width, height))

    def set_anchor(self, anchor: int) -> None:
        if anchor not in _ANCHORS:
            raise self.error(_Error.INVALID_INPUT, f"{anchor} is not an anchor")
        self._rules = replace(self._rules, anchor=anchor)

    def set_gravity(self, gravity: int) -> None:
        if gravity not in _GRAVITIES:
            raise self.error(_Error.INVALID_INPUT, f"{gravity} is not a gravity")
        self._rules = replace(self._rules, gravity=gravity)

    def set_constraint_adjustment(self, constraint_adjustment: int) -> None:
        self._rules = replace(self._rules, adjustment=constraint_adjustment)

    def set_offset(self, x: int, y: int) -> None:
        self._rules = replace(self._rules, offset=(x, y))

    def set_reactive(self) -> None:
        self._rules = replace(self._rules, reactive=True)

    def set_parent_size(self, parent_width: int, parent_height: int) -> None:
        self._rules = replace(self._rules, parent_size=(parent_width, parent_height))

    def set_parent_configure(self, serial: int) -> None:
        """A hint about the future of the parent; popups here are placed against its present."""

    def destroy(self) -> None:
        """Popups have what they took."""
