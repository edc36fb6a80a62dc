"""The clipboard: wl_data_device_manager, sources, offers, devices. Drags need a pressed button, which no seat here has."""

from typing import Final

from syncline.compositor.wayland.blame import no_memory
from syncline.compositor.wayland.seat import WlSeat
from syncline.compositor.wayland.session import Session, Stage
from syncline.compositor.wayland.surface import WlSurface
from syncline.protocol.enums import (
    WlDataDevice as WlDataDeviceEnums,
    WlDataDeviceManager as WlDataDeviceManagerEnums,
    WlDataOffer as WlDataOfferEnums,
    WlDataSource as WlDataSourceEnums,
)
from syncline.protocol.fd import ReceivedFd
from syncline.protocol.object import NewId, Resource

_ACTIONS: Final = int(
    WlDataDeviceManagerEnums.DndAction.COPY
    | WlDataDeviceManagerEnums.DndAction.MOVE
    | WlDataDeviceManagerEnums.DndAction.ASK
)

MAX_MIME_TYPES: Final = 256
"""What one source may offer, since every offer of it is told to others."""


class WlDataDeviceManager(Resource):
    interface = "wl_data_device_manager"
    up_to = 3

    def __init__(self, new: NewId, session: Session) -> None:
        super().__init__(new)
        self._session = session

    def create_data_source(self, new: NewId) -> None:
        WlDataSource(new, self._session.stage)

    def get_data_device(self, new: NewId, _seat: WlSeat) -> None:
        WlDataDevice(new, self._session)


class WlDataSource(Resource):
    interface = "wl_data_source"
    up_to = 3

    def __init__(self, new: NewId, stage: Stage) -> None:
        super().__init__(new)
        self._stage = stage
        self.mime_types: list[str] = []
        self.is_used = False
        self._has_actions = False

    def offer(self, mime_type: str) -> None:
        if len(self.mime_types) >= MAX_MIME_TYPES:
            raise no_memory(f"{MAX_MIME_TYPES} types are enough")
        self.mime_types.append(mime_type)

    def set_actions(self, dnd_actions: int) -> None:
        if dnd_actions & ~_ACTIONS:
            raise self.error(WlDataSourceEnums.Error.INVALID_ACTION_MASK, f"actions {dnd_actions:#x}")
        if self._has_actions or self.is_used:
            raise self.error(WlDataSourceEnums.Error.INVALID_SOURCE, "actions are set once, before its use")
        self._has_actions = True

    def check_fresh(self, device: "WlDataDevice", *, for_selection: bool) -> None:
        """A source is used once, and one with actions only for drags."""
        if for_selection and self._has_actions:
            raise self.error(WlDataSourceEnums.Error.INVALID_SOURCE, "a source with actions is for drags")
        if self.is_used:
            raise device.error(WlDataDeviceEnums.Error.USED_SOURCE, f"{self!r} was used before")
        self.is_used = True

    def destroy(self) -> None:
        """Nobody can paste it any more."""

    def on_destroyed(self) -> None:
        if self._stage.selection is self:
            self._stage.selection = None
            offer_selection(self._stage)


class WlDataOffer(Resource):
    """Always of a selection, hence none of the drag's requests has a meaning here."""

    interface = "wl_data_offer"
    up_to = 3

    def __init__(self, new: NewId, source: WlDataSource) -> None:
        super().__init__(new)
        self._source = source

    def accept(self, serial: int, mime_type: str | None) -> None:
        """Feedback for drags."""

    def receive(self, mime_type: str, fd: ReceivedFd) -> None:
        """The fd goes on to the source; if that is gone, closing it is the answer."""
        if self._source.alive:
            self._source.send("send", mime_type, fd.fileno())

    def finish_(self) -> None:
        raise self.error(WlDataOfferEnums.Error.INVALID_FINISH, "this offer is no drag's")

    def set_actions(self, _dnd_actions: int, _preferred_action: int) -> None:
        raise self.error(WlDataOfferEnums.Error.INVALID_OFFER, "this offer is no drag's")

    def destroy(self) -> None:
        """The client has seen enough."""


class WlDataDevice(Resource):
    interface = "wl_data_device"
    up_to = 3

    def __init__(self, new: NewId, session: Session) -> None:
        super().__init__(new)
        self._session = session
        session.data_devices.append(self)
        if session.stage.focused_session() is session:
            self.tell_selection()

    def tell_selection(self) -> None:
        """A new offer of what is selected now, or of nothing."""
        source = self._session.stage.selection
        if not isinstance(source, WlDataSource):
            self.send("selection", None)
            return
        offer = self.send_new("data_offer", lambda new: WlDataOffer(new, source))
        for mime_type in source.mime_types:
            offer.send("offer", mime_type)
        self.send("selection", offer)

    def set_selection(self, source: WlDataSource | None, _serial: int) -> None:
        """Only who has the keyboard may; others are told that they failed."""
        if source is not None:
            source.check_fresh(self, for_selection=True)
        stage = self._session.stage
        if stage.focused_session() is not self._session:
            if source is not None:
                source.send("cancelled")
            return
        previous, stage.selection = stage.selection, source
        if previous is not None:
            previous.send("cancelled")
        offer_selection(stage)

    def start_drag(
        self, source: WlDataSource | None, _origin: WlSurface, icon: WlSurface | None, _serial: int
    ) -> None:
        """There is no grab that a drag could begin from: cancelled at once."""
        if icon is not None and icon.surface.role is not None:
            raise self.error(WlDataDeviceEnums.Error.ROLE, f"{icon!r} has another role")
        if source is not None:
            source.check_fresh(self, for_selection=False)
            source.send("cancelled")

    def release(self) -> None:
        """The selection stays."""

    def on_destroyed(self) -> None:
        self._session.data_devices.remove(self)


def offer_selection(stage: Stage) -> None:
    """Tell the client that has the keyboard what there is to paste."""
    session = stage.focused_session()
    for device in session.data_devices if session else ():
        assert isinstance(device, WlDataDevice)
        device.tell_selection()
