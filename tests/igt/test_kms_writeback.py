"""kms_writeback: the image of a CRTC back into memory."""

import struct
from errno import EFAULT, EINVAL

from igt.kms import KmsProgram, picture, show

from syncline.kms_model.kms.objects import Blob
from syncline.kms_model.uapi import BAD_POINTER, FORMAT_XRGB8888, AtomicFlag as Flag

program = KmsProgram("kms_writeback", writeback=True)


def test_subtest(subtest):
    program.run(subtest)


def test_every_subtest_is_here():
    program.assert_complete()


def attached(client):
    client.light_up()
    client.commit(Flag.ALLOW_MODESET, ("writeback0", "CRTC_ID", client.ids["crtc0"]))


def job(fb):
    return "writeback0", "WRITEBACK_FB_ID", fb


def fence(pointer):
    return "writeback0", "WRITEBACK_OUT_FENCE_PTR", pointer


@program.subtest("writeback-pixel-formats")
def pixel_formats(client):
    blob = client.read("writeback0", "WRITEBACK_PIXEL_FORMATS")
    data = client.world.device.kms.display.find(blob, Blob).data
    assert [each for (each,) in struct.iter_unpack("<I", data)] == [FORMAT_XRGB8888]


@program.subtest("writeback-invalid-parameters")
def invalid_parameters(client):
    attached(client)
    fb = client.framebuffer()
    for target, pointer, errno in (
        (0, client.pointer(), EINVAL),
        (fb, BAD_POINTER, EFAULT),
        (0, BAD_POINTER, EFAULT),
    ):
        assert client.refused(0, job(target), fence(pointer)) == errno
    assert client.refused(0, job(client.framebuffer(64, 64))) == EINVAL


@program.subtest("writeback-fb-id")
def fb_id(client):
    attached(client)
    for wrong in (client.ids["writeback0"], client.ids["crtc0"], 0xFFFFFF):
        assert client.refused(0, job(wrong)) == EINVAL
    client.commit(0, job(0))
    client.commit(0, job(client.framebuffer()))
    assert client.read("writeback0", "WRITEBACK_FB_ID") == 0


@program.subtest("writeback-check-output")
def check_output(client):
    """A tag in the memory instead of a CRC: the new frame's, whole, and not before the fence."""
    attached(client)
    size = 4 * client.mode.hdisplay * client.mode.vdisplay
    target, into = picture(client)
    memory = client.file.gems.get(into).memory
    for tag in (b"\x11\x22\x33", b"\x44\x55\x66"):
        fb, handle = picture(client)
        client.file.gems.get(handle).memory[:size] = (tag + b"\0") * (size // 4)
        memory[:size] = b"\xaa" * size

        reply = client.commit(Flag.NONBLOCK, show(fb), job(target), fence(client.pointer()))
        assert client.status(reply.out_fences[0][1]) == 0
        assert memory[:size] == b"\xaa" * size
        client.world.run_ms(17)

        assert client.status(reply.out_fences[0][1]) == 1
        assert memory[:size] == (tag + b"\0") * (size // 4)
    client.world.run_ms(50)
    memory[:4] = b"\xaa" * 4
    client.commit(0, show(client.framebuffer()))
    assert memory[:4] == b"\xaa" * 4, "a job is for one commit"
