"""The machine fails under the core: what it falls back to, and that nothing stays owed."""

from typing import Final

import pytest
from world import Client, World, machine

from syncline.compositor.core.effects import Configure, OutputAdded, OutputRemoved, Presented
from syncline.compositor.core.policy import Policy
from syncline.compositor.core.report import DeviceRefusal
from syncline.kms_model.faults import parse
from syncline.kms_model.uapi import DeviceError

COMPOSE: Final = Policy(direct_scanout=False)


def break_(world: World, *faults: str) -> None:
    for fault in faults:
        world.device.inject(parse(fault))
    world.settle()


def test_a_flip_whose_event_is_lost_is_looked_for_after_a_second() -> None:
    world = World(policy=Policy())
    window = Client(world, "client").window(320, 240)
    window.present("red")
    world.run_until_ms(20)

    break_(world, "lost-flip")
    lost = window.present("green")
    world.run_ms(500)
    assert lost.heard == []
    world.run_ms(700)

    assert [what for what, _ in lost.heard] == ["presented", "frame done"]
    assert window.image("red").released() == 1
    window.present("blue")
    world.run_ms(40)
    assert window.image("green").released() == 1


def test_a_flip_that_is_really_late_is_left_alone() -> None:
    """An in-fence that takes seconds: the question is refused as busy, and nothing is taken for shown."""
    world = World(policy=COMPOSE)
    window = Client(world, "client").window()
    window.present("red")
    world.run_until_ms(20)

    break_(world, "slow-job=3s")
    late = window.present("green")
    world.run_ms(2500)
    assert late.heard == []
    world.run_ms(1000)

    assert [what for what, _ in late.heard] == ["presented", "frame done"]
    assert not any(isinstance(event, DeviceRefusal) for event in world.reports)


def test_a_reset_in_the_middle_of_a_composition_is_painted_again() -> None:
    world = World(policy=COMPOSE)
    window = Client(world, "client").window()
    window.present("red")
    world.calm_down()
    window.present("green")
    world.run_ms(2)
    break_(world, "slow-job=8ms")
    while not world.running:
        world.run_ms(1)

    break_(world, "gpu-reset")
    world.calm_down()

    shown = world.scanned_out(world.core.outputs[0])
    assert shown == world.photograph(world.core.outputs[0])
    assert window.image("red").released() == 1


def test_a_reset_with_points_owed_pays_them_all() -> None:
    world = World(policy=COMPOSE)
    windows = [Client(world, name).window() for name in ("one", "two")]
    break_(world, "slow-job=5ms:1:*", "gpu-reset:7ms:20")
    for number in range(8):
        for window in windows:
            window.present(f"image {number}")
        world.run_ms(20)
    for window in windows:
        window.destroy()
    world.run_ms(500)

    owed = {name: image.released() for window in windows for name, image in window.images.items()}
    assert set(owed.values()) == {1}, owed


# -- outputs -----------------------------------------------------------------------------------------


def two_screens() -> World:
    return World(machine(60_000, 60_000), policy=Policy())


def test_a_window_moves_to_another_output_and_its_image_is_returned_once_the_crtc_is_off() -> None:
    world = two_screens()
    window = Client(world, "client").window(320, 240)
    window.present("red")
    world.run_until_ms(20)
    first, second = world.core.outputs
    assert window.surface.main_output is first

    break_(world, "output-removed=Virtual-1")

    assert world.core.outputs == [second]
    assert len(world.told(OutputRemoved)) == 1
    assert not world.device.kms.display.crtcs[0].state.active
    world.run_ms(40)
    assert window.surface.main_output is second
    window.present("green")
    world.run_ms(40)
    assert window.image("red").released() == 1
    assert world.told(Presented)[-1].output is second


def test_a_frame_in_the_air_lands_before_its_crtc_is_switched_off() -> None:
    world = two_screens()
    window = Client(world, "client").window(320, 240)
    window.present("red")
    world.run_until_ms(20)
    window.present("green")
    world.run_ms(12)
    crtc = world.device.kms.display.crtcs[0]
    assert crtc.arming is not None

    break_(world, "output-removed=Virtual-1")
    assert crtc.state.active, "a flip is pending, and the kernel has no queue"
    assert not window.image("red").released()
    world.run_ms(20)

    assert not crtc.state.active
    assert window.image("red").released() == 1


def test_with_no_output_left_windows_wait_and_are_shown_when_one_is_back() -> None:
    world = two_screens()
    window = Client(world, "client").window(320, 240)
    window.present("red")
    world.run_until_ms(20)
    break_(world, "output-removed=Virtual-1", "output-removed=Virtual-2")
    world.run_ms(40)
    assert world.core.outputs == []
    assert all(not crtc.state.active for crtc in world.device.kms.display.crtcs)

    hidden = window.present("green")
    world.run_ms(1100)
    assert [what for what, _ in hidden.heard] == ["frame done"], "once a second, as when nobody can see it"
    assert window.image("red").released() == 1

    break_(world, "output-added=Virtual-2")
    world.run_ms(60)
    assert [output.name for output in world.core.outputs] == ["Virtual-2"]
    assert len(world.told(OutputAdded)) == 3
    assert [what for what, _ in hidden.heard] == ["frame done", "presented"]


@pytest.mark.parametrize("order", [("Virtual-1", "Virtual-2"), ("Virtual-2", "Virtual-1")])
def test_cables_may_come_back_in_any_order_and_a_lit_output_is_left_alone(order: tuple[str, str]) -> None:
    world = two_screens()
    break_(world, "output-removed=Virtual-1")
    world.run_ms(40)
    assert [output.name for output in world.core.outputs] == ["Virtual-2"]
    break_(world, "output-removed=Virtual-2")
    world.run_ms(40)
    for name in order:
        break_(world, f"output-added={name}")
        world.run_ms(40)

    assert [output.name for output in world.core.outputs] == list(order)
    assert all(crtc.state.active for crtc in world.device.kms.display.crtcs)
    assert not any(isinstance(event, DeviceRefusal) for event in world.reports)


def test_a_cable_that_is_back_before_its_crtc_is_off_is_lit_again_afterwards() -> None:
    world = two_screens()
    window = Client(world, "client").window(320, 240)
    window.present("red")
    world.run_until_ms(20)
    window.present("green")
    world.run_ms(12)

    break_(world, "output-removed=Virtual-1")
    break_(world, "output-added=Virtual-1")
    world.run_ms(60)

    assert sorted(output.name for output in world.core.outputs) == ["Virtual-1", "Virtual-2"]
    window.present("blue")
    world.run_ms(40)
    assert world.told(Presented)[-1].output in world.core.outputs


def test_a_window_that_fills_its_output_is_told_the_size_of_the_other_one() -> None:
    world = two_screens()
    window = Client(world, "client").window(320, 240)
    world.core.shell.set_fullscreen(window.toplevel, on=True, now_ns=world.now_ns)
    window.present("red")
    world.run_until_ms(20)
    before = len(world.told(Configure))

    break_(world, "output-removed=Virtual-1")

    assert len(world.told(Configure)) == before + 1
    assert world.told(Configure)[-1].toplevel is window.toplevel


def test_an_output_that_cannot_be_lit_is_tried_again_with_the_next_news() -> None:
    world = two_screens()
    break_(world, "output-removed=Virtual-2")
    world.run_ms(40)
    handles = len(world.file.file.syncobjs), len(world.file.file.gems)
    break_(world, "ModeAtomic=EINVAL", "output-added=Virtual-2")
    assert (len(world.file.file.syncobjs), len(world.file.file.gems)) == handles
    assert [event.what for event in world.reports if isinstance(event, DeviceRefusal)] == [
        "looking at the connectors"
    ]
    break_(world, "output-added=Virtual-2")
    world.run_ms(40)
    assert len(world.core.outputs) == 2


def test_an_output_that_cannot_be_switched_off_keeps_nothing() -> None:
    world = two_screens()
    window = Client(world, "client").window(320, 240)
    window.present("red")
    world.run_until_ms(20)
    break_(world, "ModeAtomic=EINVAL", "output-removed=Virtual-1")
    world.run_ms(40)
    window.present("green")
    world.run_ms(40)
    assert window.image("red").released() == 1


def test_an_unplugged_device_is_the_end() -> None:
    world = World()
    with pytest.raises(DeviceError, match="unplugged"):
        break_(world, "unplug")
