"""Direct scanout: who gets a plane, and what it costs to ask."""

import pytest
from world import Client, Image, Window, World, machine

from syncline.compositor.core.effects import Presented
from syncline.compositor.core.policy import AcquireMode, Policy
from syncline.compositor.core.report import DeviceRefusal, Latch
from syncline.kms_model.uapi import (
    FORMAT_XRGB8888,
    AtomicFlag,
    ModeAddFb2,
    ModeAtomic,
    PrimeHandleToFd,
    Submit,
    SyncobjFdToHandle,
    SyncobjTransfer,
)
from syncline.protocol.enums import WpPresentationFeedback

ZERO_COPY = WpPresentationFeedback.Kind.ZERO_COPY


def asked(world: World) -> int:
    calls = (call for call in world.file.calls if isinstance(call, ModeAtomic))
    return sum(bool(call.flags & AtomicFlag.TEST_ONLY) for call in calls)


def composed(world: World) -> int:
    return sum(isinstance(call, Submit) for call in world.file.calls)


def test_the_kernel_is_asked_once_per_arrangement_not_per_frame() -> None:
    world = World(policy=Policy())
    window = Client(world, "client").window(320, 240)
    for number in range(6):
        window.present(f"image {number % 3}")
        world.run_ms(20)

    assert len(world.presented_ms(window)) == 6
    assert asked(world) == 1
    assert composed(world) == 1, "the first, empty image only"


def test_a_cursor_on_its_plane_moves_without_composition() -> None:
    world = World(machine(60_000, cursor=True), policy=Policy())
    client = Client(world, "client")
    window = client.window()
    window.present("wall")
    world.run_until_ms(20)
    pointer = client.picture(32, 32)
    world.core.seat.move_pointer(x=160, y=120, now_ns=world.now_ns)
    world.core.seat.set_cursor(client.peer, pointer.surface, hotspot=(1, 1), now_ns=world.now_ns)
    pointer.present("arrow")
    world.run_until_ms(60)
    jobs = composed(world)

    for x in range(150, 170):
        world.core.seat.move_pointer(x=x, y=120, now_ns=world.now_ns)
        world.settle()
        world.run_ms(10)
    world.run_ms(20)

    assert composed(world) == jobs
    showing = world.device.kms.display.view()[0].showing
    assert showing is not None
    assert showing.layers[-1].target[:2] == (168, 119)
    assert world.told(Presented)[-1].flags & ZERO_COPY


@pytest.mark.requirement("ACQ-20")
def test_an_unready_cursor_image_moves_the_old_one() -> None:
    world = World(machine(60_000, cursor=True), policy=Policy())
    client = Client(world, "client")
    client.window().present("wall")
    world.run_until_ms(20)
    pointer = client.picture(32, 32)
    world.core.seat.move_pointer(x=160, y=120, now_ns=world.now_ns)
    world.core.seat.set_cursor(client.peer, pointer.surface, hotspot=(0, 0), now_ns=world.now_ns)
    pointer.present("arrow")
    world.run_until_ms(40)
    pointer.present("never", gpu_ms=None)
    world.core.seat.move_pointer(x=130, y=100, now_ns=world.now_ns)
    world.settle()
    world.run_until_ms(80)

    showing = world.device.kms.display.view()[0].showing
    assert showing is not None
    assert showing.layers[-1].target[:2] == (130, 100)


def test_a_window_above_a_busy_desktop_goes_on_an_overlay() -> None:
    world = World(machine(60_000, overlays=1), policy=Policy())
    below, above = Client(world, "below").window(), Client(world, "above").window()
    below.present("below")
    above.present("above")
    world.run_until_ms(30)
    jobs = composed(world)

    for number in range(5):
        above.present(f"image {number % 3}")
        world.run_ms(20)

    assert composed(world) == jobs, "only the overlay changed"
    assert world.told(Presented)[-1].flags & ZERO_COPY
    assert all(image.is_free for name, image in above.images.items() if name != "image 1")


@pytest.mark.requirement("S71")
def test_the_fence_of_a_flip_goes_straight_to_the_release_point_of_what_it_replaces() -> None:
    world = World(policy=Policy())
    window = Client(world, "client").window(320, 240)
    for name in ("red", "blue"):
        window.present(name)
        world.run_ms(20)
    world.file.calls.clear()
    window.present("red")
    world.run_ms(40)

    handed = [call for call in world.file.calls if isinstance(call, SyncobjFdToHandle | SyncobjTransfer)]
    assert [type(call) for call in handed] == [SyncobjFdToHandle]
    assert window.image("blue").released() == 1


def test_the_next_frame_is_expected_to_need_what_the_last_one_needed() -> None:
    world = World(machine(60_000, overlays=1), policy=Policy())
    client = Client(world, "client")
    below, above = client.window(160, 120), client.window(160, 120)
    below.present("below")
    above.present("above")
    world.run_ms(50)
    margin = world.core.outputs[0].margin

    below.present("below again")
    world.run_ms(20)
    assert margin.expects_composition, "or an image for it would be begun when it is too late to compose"

    above.present("above again")
    world.run_ms(20)
    assert not margin.expects_composition


@pytest.mark.requirement("S74")
def test_scanout_to_composition_and_back_gives_every_image_back() -> None:
    world = World(policy=Policy())
    window = Client(world, "client").window(320, 240)
    bar = Client(world, "bar").window(60, 20)
    for number in range(12):
        window.present(f"image {number % 3}")
        if number == 4:
            bar.present("bar")
        if number == 8:
            bar.surface.pending.attached = None
            bar.commit()
        world.run_ms(20)
    world.run_ms(40)

    how = [event.how for event in world.reports if isinstance(event, Latch)]
    assert {"direct", "composed"} <= set(how)
    assert [name for name, image in window.images.items() if not image.is_free] == ["image 2"]
    assert bar.image("bar").released() == 1


def test_fence_forward_hands_the_fence_to_the_plane() -> None:
    world = World(policy=Policy(acquire=AcquireMode.FENCE_FORWARD))
    window = Client(world, "client").window(320, 240)
    world.run_until_ms(10)
    window.present("red", gpu_ms=5)  # finished at 15 ms: after the latch, before the vblank
    world.run_until_ms(40)

    assert world.presented_ms(window) == [16.7]
    assert world.frames(window)[0].zero_copy


def test_a_refused_commit_falls_back_to_composition() -> None:
    world = World(policy=Policy())
    window = Client(world, "client").window(320, 240)
    world.refuse_next(lambda call: isinstance(call, ModeAtomic) and not call.flags & AtomicFlag.TEST_ONLY)
    window.present("red")
    world.run_until_ms(30)

    assert world.presented_ms(window) == [16.7]
    assert not world.frames(window)[0].zero_copy


def test_what_the_kernel_took_in_a_test_and_refused_in_earnest_is_composed_from_then_on() -> None:
    world = World(policy=Policy())
    window = Client(world, "client").window(320, 240)
    show(window, "red", "blue", "red")
    world.refuse_next(lambda call: isinstance(call, ModeAtomic) and not call.flags & AtomicFlag.TEST_ONLY)
    show(window, "blue", "red", "blue")

    assert [frame.zero_copy for frame in world.frames(window)] == [True] * 3 + [False] * 3


def test_an_image_without_a_framebuffer_is_composed_between_others_that_have_one() -> None:
    world = World(policy=Policy())
    window = Client(world, "client").window(320, 240)
    show(window, "red", "blue", "red")
    world.refuse_next(lambda call: isinstance(call, ModeAddFb2))
    show(window, "odd", "red", "odd", "blue")

    assert [frame.zero_copy for frame in world.frames(window)] == [True] * 3 + [False, True, False, True]
    assert not [event for event in world.reports if isinstance(event, DeviceRefusal)]


def test_a_kind_of_buffer_that_no_plane_can_show_is_composed_whenever_it_comes() -> None:
    world = World(policy=Policy())
    client = Client(world, "client")
    window = client.window(320, 240)
    window.images["sparse"] = sparse(client)
    show(window, "red", "blue", "red")
    world.refuse_next(lambda call: isinstance(call, ModeAtomic) and bool(call.flags & AtomicFlag.TEST_ONLY))
    show(window, "sparse", "red", "blue", "sparse")

    assert [frame.zero_copy for frame in world.frames(window)] == [True] * 3 + [False, True, True, False]


def show(window: Window, *names: str) -> None:
    for name in names:
        window.present(name)
        window.world.run_ms(20)


def sparse(client: Client) -> Image:
    """320x240 pixels whose rows are further apart than they need to be."""
    image = Image(client, 340, 240, "sparse")
    fd = client.file.call(PrimeHandleToFd(handle=image.handle)).fd
    image.width = 320
    image.buffer = client.world.core.import_dmabuf(
        client.peer, fd, width=320, height=240, format=FORMAT_XRGB8888, pitch=image.pitch
    )
    return image
