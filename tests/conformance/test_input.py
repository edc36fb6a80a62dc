"""Cursor, popup and drag icon that are not ready: input goes on (protocol.md 5.3)."""

from typing import Final

from syncline.conformance.case import RunClass, case
from syncline.conformance.pace import check_rate, fill, held, rate
from syncline.conformance.target import Pointer
from syncline.conformance.thing import Thing
from syncline.conformance.trial import Trial
from syncline.conformance.verdict import Skip
from syncline.conformance.window import Canvas, Window

D, T = RunClass.D, RunClass.T
SEAT: Final = "wl_seat"
DATA: Final = "wl_data_device_manager"
CAN_POINT: Final = 1
LEFT: Final = 0x110
STEPS: Final = 20
NO_HAND: Final = "nobody moves the pointer here"


def _seat(window: Window) -> Thing:
    """Raises Skip unless it has a pointer."""
    seat = window.client.bind(SEAT)
    window.client.roundtrip()
    if not (seat.last("capabilities") or (0,))[0] & CAN_POINT:
        raise Skip("a seat with a pointer")
    return seat


@case("S61", T, priority=2, needs=(SEAT,), practice=True)
def test_acq_20_a_cursor_that_is_not_ready_holds_nothing_up(trial: Trial) -> None:
    """The pointer goes on moving with the old image, the window below goes on, and once signalled the image changes."""
    window = Window(trial)
    pointer, hand = _seat(window).make("get_pointer"), trial.stand.pointer()
    size = fill(trial, window)
    if hand is not None:
        hand.move(x=100, y=100)
        trial.expect(lambda: pointer.count("enter") > 0, "wl_pointer.enter of a fullscreen window")
    cursor = Canvas(trial, window.client)
    pointer.send("set_cursor", (pointer.last("enter") or (0,))[0], cursor.wl, 0, 0)
    old = cursor.show(cursor.image(16, 16))
    if hand is not None:
        trial.expect(lambda: old.is_presented, "presentation of the first cursor image")
    buffer = window.image(*size)
    before = rate(trial, window, buffer)
    new = cursor.show(cursor.image(16, 16), ready=False)
    held(trial, new, "a cursor image that is not ready")
    check_rate(trial, before, rate(trial, window, buffer))
    if hand is not None:
        _wander(trial, hand, pointer)
        trial.check(not old.is_released, "the old image was given back while the new one is not ready")
    trial.check(not new.is_done, "the cursor image was applied though it is not ready")
    new.signal()
    trial.expect(lambda: new.is_done or new.is_released, "the new cursor image, once signalled")
    if hand is not None:
        trial.expect(lambda: old.is_released, "the release point of the old cursor image")
    trial.note("the pointer moved meanwhile" if hand is not None else NO_HAND)


def _wander(trial: Trial, hand: Pointer, pointer: Thing) -> None:
    before = pointer.count("motion")
    for step in range(STEPS):
        hand.move(x=110 + step, y=100)
        trial.pass_ms(5)
    trial.check(pointer.count("motion") - before == STEPS, "pointer motion was lost")


class _Popup(Canvas):
    """With a grab, configured and acknowledged. `is_over` when the compositor has closed it."""

    def __init__(self, window: Window, seat: Thing) -> None:
        super().__init__(window.trial, window.client)
        base = window.client.bind("xdg_wm_base")
        positioner = base.make("create_positioner")
        positioner.send("set_size", 32, 32)
        positioner.send("set_anchor_rect", 0, 0, 1, 1)
        self.xdg = base.make("get_xdg_surface", self.wl)
        self.xdg.hooks["configure"] = lambda serial: self.xdg.send("ack_configure", serial)
        self.popup = self.xdg.make("get_popup", window.xdg, positioner)
        self.popup.send("grab", seat, 0)
        self.wl.send("commit")
        self.trial.expect(lambda: self.xdg.count("configure") > 0 or self.is_over, "the popup's configure")

    @property
    def is_over(self) -> bool:
        return self.popup.count("popup_done") > 0

    def destroy(self) -> None:
        for thing in (self.popup, self.xdg, self.wl):
            thing.send("destroy")


@case("S61", D, priority=2, needs=(SEAT, DATA), practice=True)
def test_acq_21_grabs_end_though_a_popup_or_icon_is_not_ready(trial: Trial) -> None:
    """Closed from outside where there is a pointer to do it, or by the client: points are reached, the window goes on."""
    elsewhere = Window(trial, trial.client("elsewhere"))
    fill(trial, elsewhere)
    window = Window(trial)
    seat, hand = _seat(window), trial.stand.pointer()
    window.settle(window.show(window.image()))
    popup = _Popup(window, seat)
    shown = popup.show(popup.image(32, 32))
    trial.expect(lambda: shown.is_done or popup.is_over, "the popup's first frame")
    late = popup.show(popup.image(32, 32), ready=False)
    if hand is not None:
        held(trial, late, "a popup's frame that is not ready")
        for output_x in (700, 1700):  # beside the window, on whichever screen the other client's is
            hand.move(x=output_x, y=500)
            hand.press(LEFT, pressed=True)
            hand.press(LEFT, pressed=False)
        trial.expect(lambda: popup.is_over, "popup_done after a press elsewhere")
    popup.destroy()
    trial.expect(
        lambda: shown.is_released and late.is_released, "both release points of a popup that is gone"
    )
    _drag(trial, window, seat)
    window.settle(window.show(window.image()))
    trial.note("closed by a press elsewhere" if hand is not None else f"closed by the client: {NO_HAND}")


def _drag(trial: Trial, window: Window, seat: Thing) -> None:
    """It may be refused, as no button is down; its icon's point is reached either way."""
    manager = window.client.bind(DATA)
    source, icon = manager.make("create_data_source"), Canvas(trial, window.client)
    manager.make("get_data_device", seat).send("start_drag", source, window.wl, icon.wl, 0)
    late = icon.show(icon.image(16, 16), ready=False)
    window.client.roundtrip()
    source.send("destroy")
    icon.wl.send("destroy")
    trial.expect(lambda: late.is_released, "the release point of a drag icon that is gone")
