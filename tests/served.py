"""Servers and clients of a few interfaces that do what they are asked and no more, for tests of the protocol's machinery."""

from pathlib import Path

from syncline.protocol.display import Callback, Global
from syncline.protocol.fd import ReceivedFd
from syncline.protocol.object import NewId, Object, Proxy, Resource


def open_fds() -> set[str]:
    """What this process has open, without the listing's own."""
    return {link.name for link in Path("/proc/self/fd").iterdir() if link.exists()}


class ServedSurface(Resource):
    interface = "wl_surface"
    up_to = 6
    ignored = (
        "attach", "damage", "set_opaque_region", "set_input_region", "commit", "set_buffer_transform",
        "set_buffer_scale", "damage_buffer", "offset",
    )  # fmt: skip

    def __init__(self, new: NewId) -> None:
        super().__init__(new)
        self.frames: list[Callback] = []

    def destroy(self) -> None: ...

    def frame(self, callback: NewId) -> None:
        self.frames.append(Callback(callback))


class ServedRegion(Resource):
    interface = "wl_region"
    ignored = ("add", "subtract")

    def destroy(self) -> None: ...


class ServedCompositor(Resource):
    interface = "wl_compositor"
    up_to = 6
    surface: type[Resource] = ServedSurface

    def create_surface(self, id: NewId) -> None:
        self.surface(id)

    def create_region(self, id: NewId) -> None:
        ServedRegion(id)


class ServedPool(Resource):
    interface = "wl_shm_pool"
    ignored = ("resize",)

    def create_buffer(
        self, id: NewId, offset: int, width: int, height: int, stride: int, format: int
    ) -> None:
        ServedBuffer(id)

    def destroy(self) -> None: ...


class ServedBuffer(Resource):
    interface = "wl_buffer"

    def destroy(self) -> None: ...


class ServedSeat(Resource):
    interface = "wl_seat"
    up_to = 1

    def get_pointer(self, id: NewId) -> None: ...

    def get_keyboard(self, id: NewId) -> None: ...

    def get_touch(self, id: NewId) -> None: ...


class ServedSource(Resource):
    interface = "wl_data_source"
    up_to = 3
    ignored = ("offer", "set_actions")

    def destroy(self) -> None: ...


class ServedDevice(Resource):
    interface = "wl_data_device"
    up_to = 3
    ignored = ("start_drag", "set_selection")

    def release(self) -> None: ...


class ServedOffer(Resource):
    interface = "wl_data_offer"
    up_to = 3
    ignored = ("accept", "finish", "set_actions")

    def receive(self, mime_type: str, fd: ReceivedFd) -> None: ...

    def destroy(self) -> None: ...


class ServedDevices(Resource):
    interface = "wl_data_device_manager"
    up_to = 3

    def create_data_source(self, id: NewId) -> None:
        ServedSource(id)

    def get_data_device(self, id: NewId, seat: Object) -> None:
        ServedDevice(id)


class Compositor(Proxy):
    interface = "wl_compositor"


class Surface(Proxy):
    interface = "wl_surface"
    ignored = ("enter", "leave", "preferred_buffer_scale", "preferred_buffer_transform")


class Seat(Proxy):
    interface = "wl_seat"
    ignored = ("capabilities", "name")


class Devices(Proxy):
    interface = "wl_data_device_manager"


class Offer(Proxy):
    interface = "wl_data_offer"
    ignored = ("offer", "source_actions", "action")


class Device(Proxy):
    """Knows what it was offered, and what is selected now or was before."""

    interface = "wl_data_device"
    ignored = ("enter", "leave", "motion", "drop")

    def __init__(self, new: NewId) -> None:
        super().__init__(new)
        self.offers: list[Offer] = []
        self.selected: list[Object | None] = []

    def data_offer(self, id: NewId) -> None:
        self.offers.append(Offer(id))

    def selection(self, offer: Object | None) -> None:
        assert offer is None or offer in self.offers
        self.selected.append(offer)


OFFERS = [
    Global("wl_compositor", 6, ServedCompositor),
    Global("wl_seat", 1, ServedSeat),
    Global("wl_data_device_manager", 3, ServedDevices),
]
