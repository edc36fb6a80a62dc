"""What is on offer, and how it is cut down."""

import pytest

from syncline.compositor.core.policy import Sync
from syncline.compositor.wayland.globals import SPOKEN, CapError, parse_caps
from syncline.protocol import schema

DMABUF, SYNCOBJ = "zwp_linux_dmabuf_v1", "wp_linux_drm_syncobj_manager_v1"


def test_every_global_is_offered_at_the_version_of_the_table(client) -> None:
    offered = dict(client.registry.globals.values())

    assert offered == {each.interface: each.version for each in SPOKEN} | {"wl_output": 4}


def test_there_is_a_wl_output_for_each_screen(client, world) -> None:
    outputs = [interface for interface, _ in client.registry.globals.values() if interface == "wl_output"]

    assert len(outputs) == len(world.core.outputs) == 2


@pytest.mark.parametrize("spoken", SPOKEN, ids=lambda each: each.interface)
def test_every_global_can_be_bound_at_every_version_and_destroyed(world, spoken) -> None:
    for version in range(1, spoken.version + 1):
        client = world.client()

        bound = client.bind(spoken.interface, version)

        for name in ("destroy", "release"):
            message = next(
                (each for each in schema.interface(spoken.interface).requests if each.name == name), None
            )
            if message and message.since <= version:
                bound.send(name)
        client.expect_no_error()


def test_a_cap_lowers_the_version(make_world) -> None:
    client = make_world({"wl_compositor": 4, "xdg_wm_base": 2}).client()

    offered = dict(client.registry.globals.values())

    assert offered["wl_compositor"] == 4
    assert offered["xdg_wm_base"] == 2


def test_a_cap_of_zero_hides_the_global(make_world) -> None:
    client = make_world({"wp_linux_drm_syncobj_manager_v1": 0, "wl_output": 0}).client()

    offered = dict(client.registry.globals.values())

    assert "wp_linux_drm_syncobj_manager_v1" not in offered
    assert "wl_output" not in offered


@pytest.mark.parametrize(
    ("sync", "hidden"),
    [
        (Sync.NONE, {DMABUF, SYNCOBJ}),
        (Sync.IMPLICIT, {SYNCOBJ}),
        (Sync.DMA, set()),
        (Sync.USER, set()),
    ],
)
def test_what_it_cannot_do_is_not_offered(make_world, sync, hidden) -> None:
    client = make_world(sync=sync).client()

    offered = {interface for interface, _ in client.registry.globals.values()}

    assert {each.interface for each in SPOKEN} - offered == hidden


def test_caps_are_read_from_words() -> None:
    assert parse_caps(["wl_compositor=5", "wl_output=0"]) == {"wl_compositor": 5, "wl_output": 0}


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("wl_shell=1", "no global 'wl_shell'"),
        ("wl_compositor", "goes from 0 (hidden) to 7"),
        ("wl_compositor=8", "goes from 0 (hidden) to 7"),
        ("wl_compositor=-1", "goes from 0 (hidden) to 7"),
        ("wl_compositor=five", "goes from 0 (hidden) to 7"),
    ],
)
def test_a_cap_that_means_nothing_is_one_clear_sentence(word, reason) -> None:
    with pytest.raises(CapError) as refusal:
        parse_caps([word])

    assert reason in str(refusal.value)
    assert word in str(refusal.value)


def test_binding_above_the_offered_version_is_an_error(make_world) -> None:
    world = make_world({"wl_compositor": 4})
    client = world.client()
    name = next(n for n, (interface, _) in client.registry.globals.items() if interface == "wl_compositor")
    kind = type(client.bind("wl_compositor"))

    client.registry.bind(name, kind, interface="wl_compositor", version=5)

    client.expect("wl_registry", 0)


def test_a_registry_can_be_destroyed_with_wl_fixes(client) -> None:
    fixes = client.bind("wl_fixes")

    fixes.send("destroy_registry", client.registry)

    client.expect_no_error()
    assert not client.registry.alive


def test_acknowledging_a_global_that_was_not_removed_is_an_error(client) -> None:
    fixes = client.bind("wl_fixes")

    fixes.send("ack_global_remove", client.registry, 1)

    client.expect("wl_fixes", 0, fixes)
