"""Commits, callbacks and release callbacks of core Wayland (protocol.md 5.7)."""

from typing import Final

from syncline.conformance.case import RunClass, case
from syncline.conformance.pace import HALF_A_SECOND_NS, rate
from syncline.conformance.thing import Thing
from syncline.conformance.trial import Trial
from syncline.conformance.window import Window

S, D, T = RunClass.S, RunClass.D, RunClass.T
WHILE_NS: Final = 200_000_000
V7: Final = ("wl_compositor:7",)
SUSPENDED: Final = 9
"""xdg_toplevel.state, from version 6 on."""


def _plain(trial: Trial) -> Window:
    return Window(trial, explicit=False)


@case("C15", S, needs=V7)
def test_cor_01_get_release_without_a_buffer_is_no_buffer(trial: Trial) -> None:
    """Nothing attached, or NULL attached: there is nothing to be released."""
    for attaches_null in (False, True):
        window = Window(trial, trial.client("null" if attaches_null else "nothing"), explicit=False)
        window.settle(window.show(window.client.shm_buffer()))
        if attaches_null:
            window.attach(None)
        window.wl.make("get_release")
        window.wl.send("commit")
        trial.note(window.client.expect_error(window.wl, "no_buffer"))


@case("C14", S, needs=V7)
def test_cor_02_get_release_answers_once_per_commit_with_zero(trial: Trial) -> None:
    """One callback per commit, its data 0, its id free again."""
    window = _plain(trial)
    buffers = [window.client.shm_buffer(), window.client.shm_buffer()]
    callbacks = []
    for number in range(4):
        callbacks.append(window.wl.make("get_release"))
        window.settle(window.show(buffers[number % 2]))
    window.hide()
    trial.expect(lambda: all(each.count("done") for each in callbacks), "four get_release callbacks")
    trial.check(all(each.last("done") == (0,) for each in callbacks), "data that is not 0")
    trial.check(all(each.count("done") == 1 for each in callbacks), "a callback that came twice")
    trial.expect(lambda: not any(each.alive for each in callbacks), "delete_id for the callbacks")


@case("C13 C14", S, priority=2, needs=V7)
def test_cor_03_get_release_tells_two_surfaces_apart(trial: Trial) -> None:
    """One buffer on two surfaces: each commit's callback comes when that surface is done with it."""
    client = trial.client()
    first, second = Window(trial, client, explicit=False), Window(trial, client, explicit=False)
    buffer = client.shm_buffer()
    callbacks = [window.wl.make("get_release") for window in (first, second)]
    for window in (first, second):
        window.settle(window.show(buffer))
    for window in (first, second):
        window.settle(window.show(client.shm_buffer()))
    trial.expect(lambda: all(each.count("done") == 1 for each in callbacks), "both get_release callbacks")


@case("C8", S, priority=2)
def test_cor_04_an_attach_that_was_replaced_is_not_released(trial: Trial) -> None:
    """It was never used, so there is nothing to say about it."""
    window = _plain(trial)
    unused = window.client.shm_buffer()
    window.attach(unused)
    window.settle(window.show(window.client.shm_buffer()))
    window.settle(window.show(window.client.shm_buffer()))
    trial.never(lambda: unused.count("release") > 0, "wl_buffer.release of a buffer never committed")


@case("C17", S)
def test_cor_05_frame_callbacks_come_in_the_order_of_commits(trial: Trial) -> None:
    """Twenty commits of one surface: each callback once, none before an earlier one."""
    window = _plain(trial)
    buffer, order = window.client.shm_buffer(), list[int]()
    for number in range(20):
        frame = window.show(buffer)
        assert frame.callback is not None
        frame.callback.hooks["done"] = lambda _, number=number: order.append(number)
        if number % 3 == 0:
            window.settle(frame)
    trial.expect(lambda: len(order) >= 20, "twenty frame callbacks")
    trial.check(order == list(range(20)), f"the callbacks came as {order}")


@case("S100 C17", D)
def test_cor_06_the_callback_of_an_unready_update_waits(trial: Trial) -> None:
    """It belongs to the update and cannot come before it is applied."""
    window = Window(trial)
    window.settle(window.show(window.image()))
    frame = window.show(window.image(), ready=False)
    trial.never(lambda: frame.is_done, "the frame callback of an unready update", for_ns=WHILE_NS)
    frame.signal()
    window.settle(frame)


@case("C18", T, priority=2, device=False, practice=True)
def test_cor_07_the_callbacks_of_a_hidden_window_slow_down(trial: Trial) -> None:
    """Minimised, and told that it is suspended, a window is not called back as often as before; else only counted."""
    window = _plain(trial)
    buffer = window.client.shm_buffer()
    window.settle(window.show(buffer))
    before = rate(trial, window, buffer)
    window.toplevel.send("set_minimized")
    trial.pass_ms(100)
    end_ns, count = trial.now_ns() + HALF_A_SECOND_NS, 0
    while trial.now_ns() < end_ns:
        frame = window.show(buffer)
        left_ns = end_ns - trial.now_ns()
        count += trial.until(lambda f=frame: f.is_done, within_ns=left_ns)  # type: ignore[misc]
    states = (window.toplevel.last("configure") or (0, 0, b""))[2]
    if SUSPENDED in memoryview(states).cast("I"):
        trial.check(
            count * 2 < before, f"{before} frame callbacks in half a second before, {count} suspended"
        )
    trial.note(f"recorded: {count} frame callbacks in half a second while minimised, {before} before")


@case("C19", S, priority=2, needs=("wl_compositor:5",))
def test_cor_08_an_offset_in_attach_is_invalid_offset(trial: Trial) -> None:
    """From version 5 the offset has a request of its own."""
    window = _plain(trial)
    window.wl.send("attach", window.client.shm_buffer(), 1, 0)
    window.wl.send("commit")
    trial.note(window.client.expect_error(window.wl, "invalid_offset"))


@case("C20", S, priority=2)
def test_cor_09_a_size_that_the_scale_does_not_divide_is_invalid_size(trial: Trial) -> None:
    """65 by 64 pixels at scale 2."""
    window = _plain(trial)
    window.wl.send("set_buffer_scale", 2)
    window.attach(window.client.shm_buffer(65, 64))
    window.wl.send("commit")
    trial.note(window.client.expect_error(window.wl, "invalid_size"))


@case("C7", S, priority=2)
def test_cor_10_buffer_and_scale_change_together(trial: Trial) -> None:
    """A scale that fits only the new buffer is judged with the new buffer, and the other way back."""
    window = _plain(trial)
    window.settle(window.show(window.client.shm_buffer(63, 63)))
    for scale, size in ((2, 64), (3, 63), (1, 65)):
        window.wl.send("set_buffer_scale", scale)
        window.settle(window.show(window.client.shm_buffer(size, size)))


@case("C21", S, priority=2)
def test_cor_11_a_surface_does_not_go_before_its_role(trial: Trial) -> None:
    """Role object first: else defunct_role_object, on the surface or on the role's object."""
    window = _plain(trial)
    window.settle(window.show(window.client.shm_buffer()))
    window.wl.send("destroy")
    acceptable: list[tuple[Thing, str]] = [
        (window.wl, "defunct_role_object"),
        (window.xdg, "defunct_role_object"),
    ]
    trial.note(window.client.expect_any_error(acceptable))
