"""Only what changed is painted, and that is enough."""

from world import Client, Window, World

from syncline.compositor.core.geometry import Rect
from syncline.kms_model.uapi import Submit


def painted_pixels(world: World) -> int:
    """Of the last composition: how much was touched at most."""
    submit = [call for call in world.file.calls if isinstance(call, Submit)][-1]
    rects = [
        rect
        for command in submit.commands
        for rect in getattr(command, "clip", (getattr(command, "rect", None),))
    ]
    return sum(width * height for _, _, width, height in rects)


def is_right(world: World) -> bool:
    output = world.core.outputs[0]
    return world.scanned_out(output) == world.photograph(output)


def desktop() -> tuple[World, Window, Window]:
    world = World()
    left, right = (Client(world, name).window(150, 100) for name in ("left", "right"))
    for number in range(4):  # until every image of the swapchain has everything
        left.present(f"left {number}")
        right.present(f"right {number}")
        world.run_ms(20)
    return world, left, right


def test_a_new_picture_costs_its_damage_of_the_frames_since() -> None:
    world, left, _ = desktop()
    left.surface.pending.damage_surface(Rect(10, 10, 20, 5))
    left.surface.pending.frame_callbacks.clear()
    world.core.commit(left.surface, world.now_ns)
    world.run_ms(40)

    everything = 320 * 240
    assert painted_pixels(world) < everything // 2
    assert is_right(world)


def test_a_raised_window_is_painted_where_it_was_covered() -> None:
    world, left, right = desktop()
    shell = world.core.shell
    shell.move(left.toplevel, x=40, y=40, now_ns=world.now_ns)
    shell.move(right.toplevel, x=100, y=80, now_ns=world.now_ns)
    world.run_ms(40)
    assert is_right(world)

    shell.activate(left.toplevel, world.now_ns)
    world.run_ms(40)

    assert is_right(world)


def test_a_moved_window_leaves_nothing_behind() -> None:
    world, left, _ = desktop()
    for x in (0, 30, 35, 170):
        world.core.shell.move(left.toplevel, x=x, y=120, now_ns=world.now_ns)
        world.run_ms(20)
        assert is_right(world)
