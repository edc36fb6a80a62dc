"""The image of a CRTC back into memory, with a fence of its own (kernel.md 3.7)."""

import select
from errno import EINVAL

import numpy as np
import pytest

from syncline.kms_model.kms.scanout import compose
from syncline.kms_model.profiles import profile
from syncline.kms_model.uapi import FORMAT_ARGB8888, AtomicFlag as Flag, DeviceError


@pytest.fixture
def client(make_lone_client):
    return make_lone_client(writeback=True)


@pytest.fixture
def world(client):
    return client.world


def attach(client):
    return ("writeback0", "CRTC_ID", client.ids["crtc0"])


def test_the_image_of_the_new_frame_is_in_memory_when_the_fence_signals(client, world):
    client.light_up()
    fb = client.framebuffer()
    client.file.gems.get(client.handle).memory[:] = b"\x11\x22\x33\x44" * (1280 * 720)
    target = client.framebuffer()
    memory = client.file.gems.get(client.handle).memory

    reply = client.commit(
        Flag.ALLOW_MODESET | Flag.NONBLOCK,
        ("primary0", "FB_ID", fb),
        attach(client),
        ("writeback0", "WRITEBACK_FB_ID", target),
        ("writeback0", "WRITEBACK_OUT_FENCE_PTR", client.pointer()),
    )
    ((_, fence),) = reply.out_fences
    assert client.status(fence) == 0
    world.run_ms(17)

    assert client.status(fence) == 1
    assert memory[:8] == b"\x11\x22\x33\x00" * 2


def test_it_signals_after_the_out_fence_of_its_crtc(client, world):
    client.light_up()
    client.commit(Flag.ALLOW_MODESET, attach(client))
    reply = client.commit(
        Flag.NONBLOCK,
        ("writeback0", "WRITEBACK_FB_ID", client.framebuffer()),
        ("writeback0", "WRITEBACK_OUT_FENCE_PTR", client.pointer()),
        ("crtc0", "OUT_FENCE_PTR", client.pointer()),
        ("primary0", "FB_ID", client.framebuffer()),
    )
    writeback, out = (fd for _, fd in reply.out_fences)
    order = []
    for name, fd in (("writeback", writeback), ("out", out)):
        fence = world.device.kernel.descriptors.find(fd, object).fence
        fence.add_callback(lambda _, name=name: order.append(name))

    world.run_ms(17)

    assert order == ["out", "writeback"]
    assert select.select([writeback, out], [], [], 0)[0] == [writeback, out]


def test_it_is_for_one_commit_and_reads_back_as_nothing(client, world):
    client.light_up()
    client.commit(Flag.ALLOW_MODESET, attach(client), ("writeback0", "WRITEBACK_FB_ID", client.framebuffer()))

    assert client.read("writeback0", "WRITEBACK_FB_ID") == 0
    assert client.read("writeback0", "WRITEBACK_OUT_FENCE_PTR") == 0
    assert world.device.kms.display.connectors[1].state.writeback is None or (
        client.commit(0, ("writeback0", "CRTC_ID", client.ids["crtc0"])).out_fences == ()
    )


def test_a_pointer_without_a_framebuffer_is_ignored_and_stays_minus_one(client):
    client.light_up()
    pointer = client.pointer()

    reply = client.commit(
        Flag.ALLOW_MODESET, attach(client), ("writeback0", "WRITEBACK_OUT_FENCE_PTR", pointer)
    )

    assert reply.out_fences == ((pointer, -1),)


def test_a_pointer_with_framebuffer_zero_is_refused(client):
    client.light_up()
    pointer = client.pointer()

    with pytest.raises(DeviceError) as error:
        client.call(
            client.request(
                Flag.ALLOW_MODESET,
                attach(client),
                ("writeback0", "WRITEBACK_FB_ID", 0),
                ("writeback0", "WRITEBACK_OUT_FENCE_PTR", pointer),
            )
        )

    assert (error.value.errno, error.value.writes) == (EINVAL, ((pointer, -1),))
    client.commit(Flag.ALLOW_MODESET, attach(client), ("writeback0", "WRITEBACK_FB_ID", 0))


def test_it_needs_an_active_crtc_and_a_like_framebuffer(client):
    target = client.framebuffer()
    assert client.refused(Flag.ALLOW_MODESET, ("writeback0", "WRITEBACK_FB_ID", target)) == EINVAL
    client.light_up()
    small, alpha = client.framebuffer(64, 64), client.framebuffer(format=FORMAT_ARGB8888)

    for fb in (small, alpha):
        assert (
            client.refused(Flag.ALLOW_MODESET, attach(client), ("writeback0", "WRITEBACK_FB_ID", fb))
            == EINVAL
        )
    client.commit(Flag.ALLOW_MODESET, ("crtc0", "ACTIVE", 0))
    assert (
        client.refused(Flag.ALLOW_MODESET, attach(client), ("writeback0", "WRITEBACK_FB_ID", target))
        == EINVAL
    )


def test_the_vkms_of_6_12_does_not_clone_a_screen_to_memory(make_lone_client):
    client = make_lone_client(profile("vkms", "6.12"), writeback=True)
    client.light_up()

    assert client.refused(Flag.ALLOW_MODESET, attach(client)) == EINVAL


def test_clients_that_did_not_ask_see_no_writeback_connector(make_client, client):
    assert "writeback0" not in make_client().ids


def test_a_camera_sees_the_planes_in_order_with_alpha(client, world):
    client.light_up()
    background = client.framebuffer()
    client.file.gems.get(client.handle).memory[:] = b"\x00\x00\xff\x00" * (1280 * 720)
    cursor = client.framebuffer(2, 2, format=FORMAT_ARGB8888)
    client.file.gems.get(client.handle).memory[:128] = b"\x80\x00\x00\x80" * 32

    client.commit(
        0, ("primary0", "FB_ID", background), *client.plane("cursor0", cursor, size=(2, 2), x=-1, y=718)
    )
    image = compose(world.device.kms.view()[0].showing)

    assert image.shape == (720, 1280)
    assert image.dtype == np.uint32
    assert image[0, 0] == 0xFF0000
    assert image[718, 0] == 0x7F0080
    assert image[719, 0] == 0x7F0080
    assert image[719, 1] == 0xFF0000
