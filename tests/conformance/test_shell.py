"""xdg_surface.ack_configure: which serials may be named, and when (xdg-shell, protocol.md 2.2)."""

from typing import Final

from syncline.conformance.case import RunClass, case
from syncline.conformance.client import Client
from syncline.conformance.thing import Thing
from syncline.conformance.trial import Trial
from syncline.conformance.window import Window
from syncline.protocol.object import Object

S = RunClass.S
UNSEEN: Final = 0x7FFF_FFF0


def _shown(trial: Trial, name: str = "client") -> Window:
    """A window with content that acknowledges nothing more by itself."""
    window = Window(trial, trial.client(name), explicit=False)
    window.settle(window.show(window.client.shm_buffer()))
    del window.xdg.hooks["configure"]
    return window


def _unanswered(window: Window, count: int) -> list[int]:
    """So many configures, oldest first. Every second one, the last, asks for no size that a commit would have to obey."""
    serials = []
    for number in range(count):
        before = window.xdg.count("configure")
        window.toplevel.send("unset_maximized" if number % 2 else "set_maximized")
        window.trial.expect(
            lambda b=before: window.xdg.count("configure") > b,  # type: ignore[misc]
            "the configure that answers set_maximized",
        )
        serials.append(_last_serial(window))
    return serials


def _last_serial(window: Window) -> int:
    return int((window.xdg.last("configure") or (0,))[0])


def _refuses(trial: Trial, client: Client, xdg: Thing, serial: int) -> None:
    xdg.send("ack_configure", serial)
    trial.note(client.expect_error(xdg, "invalid_serial"))


@case("X3", S)
def test_xdg_01_a_serial_that_was_never_sent_is_invalid_serial(trial: Trial) -> None:
    """A number before there was any, a number from nowhere, and one that another window of the same client was sent."""
    client = trial.client("early")
    xdg = client.bind("xdg_wm_base").make("get_xdg_surface", client.surface())
    xdg.make("get_toplevel")
    _refuses(trial, client, xdg, 1)
    window = _shown(trial, "nowhere")
    _refuses(trial, window.client, window.xdg, UNSEEN)
    window = _shown(trial, "elsewhere")
    other = Window(trial, window.client, explicit=False)
    del other.xdg.hooks["configure"]
    serial = _unanswered(other, 2)[-1]
    _refuses(trial, window.client, window.xdg, serial)


@case("X3", S)
def test_xdg_02_a_serial_is_not_acknowledged_twice(trial: Trial) -> None:
    """Neither at once nor after the commit that went with it."""
    for has_commit in (False, True):
        window = _shown(trial, "after the commit" if has_commit else "at once")
        serial = _unanswered(window, 2)[-1]
        window.xdg.send("ack_configure", serial)
        if has_commit:
            window.settle(window.show(window.client.shm_buffer()))
        else:
            window.client.roundtrip()
        _refuses(trial, window.client, window.xdg, serial)


@case("X3", S)
def test_xdg_03_a_newer_serial_uses_up_the_older_ones(trial: Trial) -> None:
    """Of two configures the second is acknowledged, then the first: it has been passed over."""
    window = _shown(trial)
    older, newer = _unanswered(window, 2)
    window.xdg.send("ack_configure", newer)
    window.client.roundtrip()
    _refuses(trial, window.client, window.xdg, older)


@case("X3 X2", S)
def test_xdg_04_serials_may_be_passed_over_and_acknowledged_before_one_commit(trial: Trial) -> None:
    """Of four configures the first two before one commit, the fourth with the next, the third never: nothing is wrong."""
    window = _shown(trial)
    first, second, _, fourth = _unanswered(window, 4)
    for serials in ((first, second), (fourth,)):
        for serial in serials:
            window.xdg.send("ack_configure", serial)
        window.settle(window.show(window.client.shm_buffer()))


@case("X1 X6", S)
def test_xdg_05_a_serial_from_before_the_unmap_configures_nothing(trial: Trial) -> None:
    """Unmapped, a window acknowledges what it was sent before: that may be an error, and a buffer after it has to be one."""
    window = _shown(trial)
    serial = _unanswered(window, 2)[-1]
    window.attach(None)
    window.wl.send("commit")
    window.xdg.send("ack_configure", serial)
    window.attach(window.client.shm_buffer())
    window.wl.send("commit")
    base = window.client.bind("xdg_wm_base")
    errors: list[tuple[Object, str]] = [
        (window.xdg, "invalid_serial"),
        (window.xdg, "unconfigured_buffer"),
        (base, "invalid_surface_state"),
    ]
    trial.note(f"recorded: {window.client.expect_any_error(errors)}")
