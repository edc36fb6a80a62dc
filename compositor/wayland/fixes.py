"""wl_fixes: what wl_registry should have had."""

from syncline.compositor.wayland.session import Session
from syncline.protocol.enums import WlFixes as WlFixesEnums
from syncline.protocol.object import NewId, Resource


class WlFixes(Resource):
    interface = "wl_fixes"

    def __init__(self, new: NewId, session: Session) -> None:
        super().__init__(new)
        self._globals = session.globals

    def destroy_registry(self, registry: Resource) -> None:
        registry.finish()

    def ack_global_remove(self, _registry: Resource, name: int) -> None:
        """Names are never used again here, so nothing waits for this; but it must be true."""
        if self._globals.find(name) is None or name in self._globals.offered():
            raise self.error(WlFixesEnums.Error.INVALID_ACK_REMOVE, f"global {name} was not removed")

    def destroy(self) -> None:
        """Nothing depends on it."""
