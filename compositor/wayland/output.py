"""wl_output."""

from syncline.compositor.core.output import Output
from syncline.compositor.wayland.session import Session
from syncline.protocol.enums import WlOutput as WlOutputEnums
from syncline.protocol.object import NewId, Resource

_MM_PER_100_PX = 26  # about 96 dots per inch: a screen that does not exist has a decent density


class WlOutput(Resource):
    interface = "wl_output"

    def __init__(self, new: NewId, session: Session, output: Output) -> None:
        super().__init__(new)
        self.output = output
        self._session = session
        session.outputs.setdefault(output, []).append(self)
        self._describe()
        for objects in session.surfaces.values():
            if output in objects.outputs:
                objects.by_interface["wl_surface"].send("enter", self)

    def _describe(self) -> None:
        output, mode = self.output, self.output.mode
        width_mm = mode.hdisplay * _MM_PER_100_PX // 100
        height_mm = mode.vdisplay * _MM_PER_100_PX // 100
        unknown = WlOutputEnums.Subpixel.UNKNOWN
        x, y, *_ = output.rect
        self.send("geometry", x, y, width_mm, height_mm, unknown, "Syncline", output.name, output.transform)
        refresh_mhz = round(1_000_000_000_000 / output.refresh_ns)
        flags = WlOutputEnums.Mode.CURRENT | WlOutputEnums.Mode.PREFERRED
        self.send("mode", flags, mode.hdisplay, mode.vdisplay, refresh_mhz)
        if self.version >= 2:
            self.send("scale", output.scale)
        if self.version >= 4:
            self.send("name", output.name)
            self.send("description", f"Syncline {output.name} {mode.name}")
        if self.version >= 2:
            self.send("done")

    def release(self) -> None:
        """The client has no use for it."""

    def on_destroyed(self) -> None:
        bound = self._session.outputs[self.output]
        bound.remove(self)
        if not bound:
            del self._session.outputs[self.output]
