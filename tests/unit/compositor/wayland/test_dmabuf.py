"""linux-dmabuf: what feedback says in each version, and every way that parameters can be wrong."""

import fcntl
import mmap
import os
from struct import iter_unpack, unpack

import pytest

PARAMS = "zwp_linux_buffer_params_v1"
(
    ALREADY_USED, PLANE_IDX, PLANE_SET, INCOMPLETE, INVALID_FORMAT, INVALID_DIMENSIONS, OUT_OF_BOUNDS,
    INVALID_WL_BUFFER, INVALID_DEV_T_SIZE,
) = range(9)  # fmt: skip
XRGB8888, ARGB8888, NV12 = 0x34325258, 0x34325241, 0x3231564E
LINEAR, INVALID = 0, 0x00FFFFFFFFFFFFFF


@pytest.fixture
def dmabuf(world):
    fd, pitch = world.dumb(64, 64)
    yield fd, pitch
    os.close(fd)


def params(client, version=6):
    return client.make(client.bind("zwp_linux_dmabuf_v1", version), "create_params")


# -- what is on offer -----------------------------------------------------------------------------


@pytest.mark.requirement("D1")
@pytest.mark.parametrize(("version", "formats", "modifiers"), [(1, 2, 0), (2, 2, 0), (3, 2, 4), (4, 0, 0)])
def test_formats_are_listed_by_event_below_version_4(client, version, formats, modifiers) -> None:
    dmabuf = client.bind("zwp_linux_dmabuf_v1", version)
    client.roundtrip()

    assert len(dmabuf.heard("format")) == formats
    assert len(dmabuf.heard("modifier")) == modifiers


@pytest.mark.requirement("D2", "D5")
@pytest.mark.parametrize(("version", "has_main_device"), [(4, True), (5, True), (6, False)])
def test_the_order_of_feedback(client, version, has_main_device) -> None:
    feedback = client.make(client.bind("zwp_linux_dmabuf_v1", version), "get_default_feedback")
    client.roundtrip()

    tranche = ["tranche_target_device", "tranche_flags", "tranche_formats", "tranche_done"]
    main_device = ["main_device"] if has_main_device else []
    assert [name for name, *_ in feedback.events] == [
        "format_table",
        *main_device,
        *tranche,
        *tranche,
        "done",
    ]


@pytest.mark.requirement("D5")
def test_from_version_6_each_tranche_has_a_purpose_and_one_is_for_sampling(client) -> None:
    feedback = client.make(client.bind("zwp_linux_dmabuf_v1"), "get_default_feedback")
    client.roundtrip()

    flags = [flags for (flags,) in feedback.heard("tranche_flags")]
    assert all(flags)
    assert any(each & 2 for each in flags)


@pytest.mark.requirement("D3", "D4")
def test_the_format_table_is_mapped_and_cannot_be_changed(client) -> None:
    feedback = client.make(client.bind("zwp_linux_dmabuf_v1"), "get_default_feedback")
    client.roundtrip()
    fd, size = feedback.last("format_table")

    with mmap.mmap(fd, size, mmap.MAP_PRIVATE, mmap.PROT_READ) as table:
        pairs = [(format, modifier) for format, modifier in iter_unpack("=I4xQ", table)]
    for (indices,) in feedback.heard("tranche_formats"):
        chosen = [pairs[index] for (index,) in iter_unpack("=H", indices)]
        assert len(set(chosen)) == len(chosen)
        assert (XRGB8888, LINEAR) in chosen
    seals = fcntl.fcntl(fd, fcntl.F_GET_SEALS)
    assert seals & (fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW)
    with pytest.raises(PermissionError):
        os.pwrite(fd, b"x", 0)


def test_devices_are_dev_t(client) -> None:
    feedback = client.make(client.bind("zwp_linux_dmabuf_v1", 4), "get_default_feedback")
    client.roundtrip()

    (main,) = feedback.last("main_device")
    assert unpack("=Q", main)
    assert all(target == main for (target,) in feedback.heard("tranche_target_device"))


@pytest.mark.requirement("D11")
def test_surface_feedback_outlives_its_surface(client) -> None:
    surface = client.surface()
    feedback = client.make(client.bind("zwp_linux_dmabuf_v1"), "get_surface_feedback", surface)
    surface.send("destroy")
    feedback.send("destroy")

    client.expect_no_error()


# -- what is wrong --------------------------------------------------------------------------------


def test_params_make_one_buffer(client, dmabuf) -> None:
    fd, pitch = dmabuf
    made = params(client)
    made.send("add", fd, 0, 0, pitch, LINEAR)
    made.send("create", 64, 64, XRGB8888, 0)

    made.send("create", 64, 64, XRGB8888, 0)

    client.expect(PARAMS, ALREADY_USED, made)


def test_used_params_take_no_planes(client, dmabuf) -> None:
    fd, pitch = dmabuf
    made = params(client)
    made.send("add", fd, 0, 0, pitch, LINEAR)
    made.send("create", 64, 64, XRGB8888, 0)

    made.send("add", fd, 1, 0, pitch, LINEAR)

    client.expect(PARAMS, ALREADY_USED, made)


def test_there_are_four_planes(client, dmabuf) -> None:
    fd, pitch = dmabuf
    made = params(client)

    made.send("add", fd, 4, 0, pitch, LINEAR)

    client.expect(PARAMS, PLANE_IDX, made)


def test_a_plane_is_set_once(client, dmabuf) -> None:
    fd, pitch = dmabuf
    made = params(client)
    made.send("add", fd, 0, 0, pitch, LINEAR)

    made.send("add", fd, 0, 0, pitch, LINEAR)

    client.expect(PARAMS, PLANE_SET, made)


@pytest.mark.parametrize("planes", [[], [1], [0, 1]])
def test_too_few_or_too_many_planes(client, dmabuf, planes) -> None:
    fd, pitch = dmabuf
    made = params(client)
    for plane in planes:
        made.send("add", fd, plane, 0, pitch, LINEAR)

    made.send("create", 64, 64, XRGB8888, 0)

    client.expect(PARAMS, INCOMPLETE, made)


@pytest.mark.requirement("D7")
@pytest.mark.parametrize(("version", "is_error"), [(4, False), (5, True), (6, True)])
def test_planes_share_a_modifier_from_version_5_on(client, dmabuf, version, is_error) -> None:
    fd, pitch = dmabuf
    made = params(client, version)
    made.send("add", fd, 0, 0, pitch, LINEAR)

    made.send("add", fd, 1, 0, pitch, INVALID)

    if is_error:
        client.expect(PARAMS, INVALID_FORMAT, made)
    else:
        client.expect_no_error()


@pytest.mark.requirement("D7")
@pytest.mark.parametrize(
    ("version", "format", "modifier", "is_error"),
    [
        (6, NV12, LINEAR, True),
        (6, XRGB8888, 0x0100000000000001, True),
        (3, NV12, LINEAR, True),
        (3, XRGB8888, 0x0100000000000001, False),
        (4, ARGB8888, INVALID, False),
    ],
)
def test_only_listed_formats_make_buffers(client, dmabuf, version, format, modifier, is_error) -> None:
    fd, pitch = dmabuf
    made = params(client, version)
    made.send("add", fd, 0, 0, pitch, modifier)

    made.send("create", 64, 64, format, 0)

    if is_error:
        client.expect(PARAMS, INVALID_FORMAT, made)
    else:
        client.expect_no_error()
        assert made.heard("created")


@pytest.mark.parametrize("size", [(0, 64), (64, 0), (-1, 64)])
def test_a_buffer_needs_a_size(client, dmabuf, size) -> None:
    fd, pitch = dmabuf
    made = params(client)
    made.send("add", fd, 0, 0, pitch, LINEAR)

    made.send("create", *size, XRGB8888, 0)

    client.expect(PARAMS, INVALID_DIMENSIONS, made)


@pytest.mark.parametrize(("offset", "stride", "height"), [(0, 128, 64), (1 << 30, 256, 64), (0, 256, 4096)])
def test_an_image_outside_of_its_buffer_is_refused(client, dmabuf, offset, stride, height) -> None:
    fd, _ = dmabuf
    made = params(client)
    made.send("add", fd, 0, offset, stride, LINEAR)

    made.send("create", 64, height, XRGB8888, 0)

    client.expect(PARAMS, OUT_OF_BOUNDS, made)


@pytest.mark.requirement("D6")
@pytest.mark.parametrize("device", [b"", b"1234", b"123456789"])
def test_a_sampling_device_has_the_size_of_a_dev_t(client, device) -> None:
    made = params(client)

    made.send("set_sampling_device", device)

    client.expect(PARAMS, INVALID_DEV_T_SIZE, made)


@pytest.mark.requirement("D6")
def test_an_unknown_sampling_device_is_no_error(client) -> None:
    made = params(client)

    made.send("set_sampling_device", b"12345678")

    client.expect_no_error()


@pytest.mark.requirement("D9")
def test_a_file_that_is_no_dmabuf_fails_and_says_so(client) -> None:
    fd = os.memfd_create("no dma-buf")
    os.ftruncate(fd, 65536)
    made = params(client)
    made.send("add", fd, 0, 0, 256, LINEAR)

    made.send("create", 64, 64, XRGB8888, 0)
    client.roundtrip()

    assert made.events == [("failed",)]
    os.close(fd)


@pytest.mark.requirement("D9")
def test_a_file_that_is_no_dmabuf_is_fatal_at_once(client) -> None:
    reader, writer = os.pipe()
    made = params(client)
    made.send("add", reader, 0, 0, 256, LINEAR)

    client.make(made, "create_immed", 64, 64, XRGB8888, 0)

    client.expect(PARAMS, INVALID_WL_BUFFER, made)
    os.close(reader)
    os.close(writer)


@pytest.mark.parametrize("flag", [1, 2, 4])
def test_flipped_and_interlaced_images_fail(client, dmabuf, flag) -> None:
    fd, pitch = dmabuf
    made = params(client)
    made.send("add", fd, 0, 0, pitch, LINEAR)

    made.send("create", 64, 64, XRGB8888, flag)
    client.roundtrip()

    assert made.events == [("failed",)]


def test_params_may_go_unused_with_their_planes(client, dmabuf) -> None:
    fd, pitch = dmabuf
    made = params(client)
    made.send("add", fd, 0, 0, pitch, LINEAR)
    made.send("destroy")

    client.expect_no_error()


def test_a_created_buffer_is_shown(client, world, dmabuf) -> None:
    window = client.toplevel()
    window.surface.send("attach", client.dmabuf(), 0, 0)
    done = client.make(window.surface, "frame")
    window.surface.send("commit")
    world.run(50)

    client.expect_no_error()
    assert done.heard("done")


def test_what_a_client_holds_is_given_back_to_its_account(client, world, dmabuf) -> None:
    fd, pitch = dmabuf
    account = world.driver.server._lines[0].session.descriptors
    buffer = client.dmabuf()
    unused = params(client)
    unused.send("add", fd, 0, 0, pitch, LINEAR)
    failing = params(client)
    failing.send("add", fd, 0, 0, pitch, LINEAR)
    failing.send("create", 64, 64, XRGB8888, 1)
    client.roundtrip()
    assert account._held == 2

    buffer.send("destroy")
    unused.send("destroy")
    client.roundtrip()

    assert account._held == 0
