"""What there is to see, and for whom."""

from errno import EACCES, EINVAL, ENOENT

import pytest

from syncline.kms_model.profiles import SYNCLINE, VKMS, VKMS_RIG2, profile
from syncline.kms_model.uapi import (
    FORMAT_XRGB8888,
    ClientCap,
    DeviceError,
    ModeGetConnector,
    ModeGetPlane,
    ModeGetResources,
    ModeObjGetProperties,
    SetClientCap,
)

OBJECTS = [
    (SYNCLINE, {"crtc": 2, "conn": 2, "writeback": 2, "primary": 2, "overlay": 8, "cursor": 2}),
    (VKMS, {"crtc": 1, "conn": 1, "writeback": 1, "primary": 1, "overlay": 8, "cursor": 1}),
    (VKMS_RIG2, {"crtc": 2, "conn": 2, "writeback": 0, "primary": 2, "overlay": 0, "cursor": 0}),
]


@pytest.mark.parametrize(("machine", "counts"), OBJECTS)
def test_every_profile_has_its_objects(make_lone_client, machine, counts):
    ids = make_lone_client(machine, writeback=True).ids

    assert {stem: sum(name.startswith(stem) for name in ids) for stem in counts} == counts


def test_a_virtual_machine_hides_its_cursor_from_atomic_clients_that_do_not_know_hotspots(
    make_lone_client,
):
    client = make_lone_client(profile("virtio_gpu"))
    assert "cursor0" not in client.ids

    client.call(SetClientCap(ClientCap.CURSOR_PLANE_HOTSPOT))

    assert len(client.call(ModeGetResources()).planes) == 2


@pytest.mark.requirement("kernel.md 3.1")
def test_the_properties_of_atomic_commits_are_for_atomic_clients(make_lone_client):
    client = make_lone_client(atomic=False)

    def names(thing):
        return {prop.name for prop in client.call(ModeObjGetProperties(client.ids[thing])).properties}

    assert names("crtc0") == {"VRR_ENABLED"}
    assert names("conn0") == {"vrr_capable"}
    assert names("primary0") == {"type", "IN_FORMATS", "zpos"}

    client.call(SetClientCap(ClientCap.ATOMIC))

    assert names("primary0") > {"FB_ID", "IN_FENCE_FD", "SRC_X", "CRTC_W", "FB_DAMAGE_CLIPS"}
    assert names("crtc0") > {"ACTIVE", "MODE_ID", "OUT_FENCE_PTR"}


def test_legacy_clients_see_the_cursor_and_without_universal_planes_only_overlays(make_world):
    world = make_world(profile("vkms"))
    file = world.device.open()

    def planes():
        return len(world.device.call(file, ModeGetResources(), world.now_ns).result().planes)

    assert planes() == 8
    world.device.call(file, SetClientCap(ClientCap.UNIVERSAL_PLANES), world.now_ns)
    assert planes() == 10


def test_a_render_node_has_no_display(make_world):
    world = make_world()
    file = world.device.open("render")

    with pytest.raises(DeviceError) as error:
        world.device.call(file, ModeGetResources(), world.now_ns).result()

    assert error.value.errno == EACCES


def test_questions_about_what_does_not_exist(client):
    fb = client.framebuffer()

    assert client.errno(ModeGetConnector(client.ids["crtc0"])) == ENOENT
    assert client.errno(ModeGetPlane(99_999)) == ENOENT
    assert client.errno(ModeObjGetProperties(99_999)) == ENOENT
    assert client.errno(ModeObjGetProperties(fb)) == EINVAL


def test_a_plane_tells_its_formats_twice(client, world):
    plane = client.call(ModeGetPlane(client.ids["primary0"]))
    blob = world.device.kms.display.planes[0].in_formats

    assert client.read("primary0", "IN_FORMATS") == blob.id
    assert FORMAT_XRGB8888 in plane.formats
    assert FORMAT_XRGB8888.to_bytes(4, "little") in blob.data


def test_planes_are_stacked_primary_overlays_cursor(client):
    stack = [client.read(name, "zpos") for name in ("primary0", "overlay0", "overlay1", "cursor0")]

    assert stack == sorted(stack)
    assert len(set(stack)) == 4
