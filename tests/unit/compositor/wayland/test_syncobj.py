"""linux-drm-syncobj-v1 on the wire: which error, on which object, and which points are reached."""

import os
import socket
from contextlib import suppress

import pytest

MANAGER, SURFACE = "wp_linux_drm_syncobj_manager_v1", "wp_linux_drm_syncobj_surface_v1"
SURFACE_EXISTS, INVALID_TIMELINE = range(2)
NO_SURFACE, UNSUPPORTED_BUFFER, NO_BUFFER, NO_ACQUIRE_POINT, NO_RELEASE_POINT, CONFLICTING_POINTS = range(
    1, 7
)


class Explicit:
    """A window with explicit sync, two timelines and a dma-buf."""

    def __init__(self, client) -> None:
        self.client = client
        self.manager = client.bind(MANAGER)
        self.window = client.toplevel()
        self.surface = self.window.surface
        self.sync = client.make(self.manager, "get_surface", self.surface)
        self.acquire = client.timeline(self.manager)
        self.release = client.timeline(self.manager)
        self.buffer = client.dmabuf()

    def attach(self, buffer="own") -> None:
        self.surface.send("attach", self.buffer if buffer == "own" else buffer, 0, 0)

    def points(self, acquire=None, release=None, *, release_on=None) -> None:
        if acquire is not None:
            self.sync.send("set_acquire_point", self.acquire.proxy, acquire)
        if release is not None:
            self.sync.send("set_release_point", (release_on or self.release).proxy, release)

    def commit(self) -> None:
        self.surface.send("commit")

    def show(self, acquire: int, release: int, buffer="own") -> None:
        self.attach(buffer)
        self.points(acquire, release)
        self.commit()


@pytest.fixture
def explicit(client) -> Explicit:
    return Explicit(client)


# -- objects --------------------------------------------------------------------------------------


@pytest.mark.requirement("S4", "S8")
def test_a_second_object_for_a_surface_is_the_managers_error(client, explicit) -> None:
    client.make(explicit.manager, "get_surface", explicit.surface)

    client.expect(MANAGER, SURFACE_EXISTS, explicit.manager)


@pytest.mark.requirement("S8")
def test_a_second_object_through_a_second_binding_is_that_managers_error(client, explicit) -> None:
    other = client.bind(MANAGER)

    client.make(other, "get_surface", explicit.surface)

    client.expect(MANAGER, SURFACE_EXISTS, other)


@pytest.mark.requirement("S9")
def test_after_destruction_there_may_be_one_again_but_no_two(client, explicit) -> None:
    explicit.sync.send("destroy")
    client.make(explicit.manager, "get_surface", explicit.surface)
    client.expect_no_error()

    client.make(explicit.manager, "get_surface", explicit.surface)

    client.expect(MANAGER, SURFACE_EXISTS, explicit.manager)


@pytest.mark.requirement("S9", "S40")
def test_the_second_object_judges_like_the_first(client, explicit) -> None:
    explicit.sync.send("destroy")
    again = client.make(explicit.manager, "get_surface", explicit.surface)

    explicit.attach()
    explicit.commit()

    client.roundtrip()
    assert client.error in {(SURFACE, NO_ACQUIRE_POINT), (SURFACE, NO_RELEASE_POINT)}
    assert client.connection.error.object_id == again.id


@pytest.mark.requirement("S3", "S30")
def test_what_the_manager_made_works_without_it_and_with_another(client, world, explicit) -> None:
    explicit.manager.send("destroy")
    explicit.acquire = client.timeline(client.bind(MANAGER))
    explicit.acquire.signal(1)

    explicit.show(1, 1)

    client.expect_no_error()


@pytest.mark.requirement("S10")
def test_surface_and_object_may_go_in_either_order(client) -> None:
    manager = client.bind(MANAGER)
    first, second = client.surface(), client.surface()
    orphan = client.make(manager, "get_surface", first)
    early = client.make(manager, "get_surface", second)

    first.send("destroy")
    orphan.send("destroy")
    early.send("destroy")
    second.send("destroy")

    client.expect_no_error()


@pytest.mark.requirement("S11")
@pytest.mark.parametrize("request_", ["set_acquire_point", "set_release_point"])
def test_an_orphan_takes_no_points(client, request_) -> None:
    manager = client.bind(MANAGER)
    surface = client.surface()
    orphan = client.make(manager, "get_surface", surface)
    timeline = client.timeline(manager)
    surface.send("destroy")

    orphan.send(request_, timeline.proxy, 1)

    client.expect(SURFACE, NO_SURFACE, orphan)


@pytest.mark.requirement("S12")
def test_a_new_surface_has_nothing_to_do_with_the_orphan_of_an_old_one(client) -> None:
    manager = client.bind(MANAGER)
    old = client.surface()
    client.make(manager, "get_surface", old)
    old.send("destroy")
    client.roundtrip()
    new = client.surface()
    client.roundtrip()

    client.make(manager, "get_surface", new)

    client.expect_no_error()


@pytest.mark.requirement("S7")
def test_surfaces_of_every_role_may_have_one(client) -> None:
    manager = client.bind(MANAGER)
    parent, child = client.surface(), client.surface()
    client.make(client.bind("wl_subcompositor"), "get_subsurface", child, parent)

    for surface in (parent, child, client.toplevel().surface):
        client.make(manager, "get_surface", surface)

    client.expect_no_error()


# -- timelines ------------------------------------------------------------------------------------


def _not_syncobjs():
    memfd = os.memfd_create("not a syncobj")
    reader, writer = os.pipe()
    ours, theirs = socket.socketpair()
    yield "memfd", memfd
    yield "pipe", reader
    yield "eventfd", os.eventfd(0)
    yield "file", os.open("/dev/null", os.O_RDONLY)
    yield "socket", ours.detach()
    theirs.close()
    os.close(writer)


@pytest.mark.requirement("S4", "S6", "S15")
def test_what_is_no_syncobj_is_the_managers_error(world) -> None:
    for what, fd in _not_syncobjs():
        client = world.client()
        manager = client.bind(MANAGER)

        client.make(manager, "import_timeline", fd)

        client.expect(MANAGER, INVALID_TIMELINE, manager)
        os.close(fd)
        assert what


@pytest.mark.requirement("S15")
def test_a_dmabuf_is_no_syncobj(client, world) -> None:
    manager = client.bind(MANAGER)
    fd, _ = world.dumb(16, 16)

    client.make(manager, "import_timeline", fd)

    client.expect(MANAGER, INVALID_TIMELINE, manager)
    os.close(fd)


@pytest.mark.requirement("S16", "S17")
def test_one_syncobj_may_be_imported_often(client, world) -> None:
    manager = client.bind(MANAGER)
    syncobj = world.syncobj()
    for _ in range(3):
        fd = world.syncobj_fd(syncobj)
        client.make(manager, "import_timeline", fd)
        os.close(fd)

    client.expect_no_error()


@pytest.mark.requirement("S24")
def test_imports_and_destructions_leave_no_descriptor(client) -> None:
    manager = client.bind(MANAGER)
    client.timeline(manager).proxy.send("destroy")
    client.roundtrip()
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208

    for _ in range(100):
        client.timeline(manager).proxy.send("destroy")
    client.roundtrip()

    with suppress(FileNotFoundError):
        assert len(os.listdir("/proc/self/fd")) <= before + 100  # noqa: PTH208  the test's own syncobjs


# -- the table of commits -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("buffer", "acquire", "release", "codes"),
    [
        ("none", None, None, set()),
        ("none", 1, None, {NO_BUFFER}),
        ("none", None, 1, {NO_BUFFER}),
        ("none", 1, 1, {NO_BUFFER}),
        ("null", None, None, set()),
        ("null", 1, None, {NO_BUFFER}),
        ("null", None, 1, {NO_BUFFER}),
        ("null", 1, 1, {NO_BUFFER}),
        ("own", None, None, {NO_ACQUIRE_POINT, NO_RELEASE_POINT}),
        ("own", None, 1, {NO_ACQUIRE_POINT}),
        ("own", 1, None, {NO_RELEASE_POINT}),
        ("own", 1, 1, set()),
    ],
)
@pytest.mark.requirement("S5", "S31", "S32", "S33", "S34", "S35", "S36", "S37", "S38", "S39", "S40")
def test_the_table_of_commits(client, explicit, buffer, acquire, release, codes) -> None:
    if buffer != "none":
        explicit.attach(None if buffer == "null" else "own")
    explicit.points(acquire, release)
    explicit.commit()

    client.roundtrip()
    if codes:
        assert client.error in {(SURFACE, code) for code in codes}
        assert client.connection.error.object_id == explicit.sync.id
    else:
        client.expect_no_error()


@pytest.mark.requirement("S37")
def test_an_earlier_buffer_is_not_the_pending_one(client, world, explicit) -> None:
    explicit.acquire.signal(1)
    explicit.show(1, 1)
    world.run(40)

    explicit.points(2, 2)
    explicit.commit()

    client.expect(SURFACE, NO_BUFFER, explicit.sync)


@pytest.mark.requirement("S29")
def test_points_do_not_outlast_their_commit(client, explicit) -> None:
    explicit.show(1, 1)

    explicit.attach(client.dmabuf())
    explicit.commit()

    client.roundtrip()
    assert client.error in {(SURFACE, NO_ACQUIRE_POINT), (SURFACE, NO_RELEASE_POINT)}


@pytest.mark.requirement("S41", "S54")
def test_shared_memory_has_no_explicit_sync(client, explicit) -> None:
    buffer, _ = client.shm_buffer()

    explicit.show(1, 1, buffer)

    client.expect(SURFACE, UNSUPPORTED_BUFFER, explicit.sync)


@pytest.mark.requirement("S54")
def test_shared_memory_without_points_is_an_error_too(client, explicit) -> None:
    buffer, _ = client.shm_buffer()

    explicit.attach(buffer)
    explicit.commit()

    client.roundtrip()
    assert client.error in {
        (SURFACE, UNSUPPORTED_BUFFER),
        (SURFACE, NO_ACQUIRE_POINT),
        (SURFACE, NO_RELEASE_POINT),
    }


@pytest.mark.requirement("S41", "Q1")
def test_a_single_pixel_has_no_explicit_sync(client, explicit) -> None:
    maker = client.bind("wp_single_pixel_buffer_manager_v1")

    explicit.show(1, 1, client.make(maker, "create_u32_rgba_buffer", 0, 0, 0, 0xFFFFFFFF))

    client.expect(SURFACE, UNSUPPORTED_BUFFER, explicit.sync)


@pytest.mark.parametrize(
    ("acquire", "release", "is_conflict"),
    [
        (1, 2, False),
        (2, 2, True),
        (3, 2, True),
        (2**32, 1, True),
        (2**32 - 1, 2**32, False),
        (5, 2**32 + 5, False),
    ],
)
@pytest.mark.requirement("S25", "S42", "S43")
def test_on_one_timeline_acquire_is_below_release(client, explicit, acquire, release, is_conflict) -> None:
    explicit.attach()
    explicit.points(acquire, release, release_on=explicit.acquire)
    explicit.commit()

    if is_conflict:
        client.expect(SURFACE, CONFLICTING_POINTS, explicit.sync)
    else:
        client.expect_no_error()


@pytest.mark.requirement("S44")
def test_on_two_timelines_any_values_go(client, explicit) -> None:
    explicit.show(7, 3)

    client.expect_no_error()


@pytest.mark.requirement("S26", "S45", "S49")
def test_a_conflict_may_be_corrected_before_the_commit(client, explicit) -> None:
    explicit.attach()
    explicit.points(5, 5, release_on=explicit.acquire)
    explicit.points(None, 6, release_on=explicit.acquire)
    explicit.commit()

    client.expect_no_error()


@pytest.mark.requirement("S28")
@pytest.mark.parametrize("order", ["bar", "bra", "abr", "arb", "rab", "rba"])
def test_the_order_within_a_cycle_does_not_matter(client, explicit, order) -> None:
    for step in order:
        if step == "b":
            explicit.attach()
        elif step == "a":
            explicit.points(1, None)
        else:
            explicit.points(None, 1)
    explicit.commit()

    client.expect_no_error()


@pytest.mark.requirement("S47")
@pytest.mark.parametrize(("last", "code"), [("null", NO_BUFFER), ("own", None)])
def test_the_last_attach_of_a_cycle_counts(client, explicit, last, code) -> None:
    explicit.attach("own" if last == "null" else None)
    explicit.attach(None if last == "null" else "own")
    explicit.points(1, 1)
    explicit.commit()

    if code:
        client.expect(SURFACE, code, explicit.sync)
    else:
        client.expect_no_error()


@pytest.mark.requirement("S27")
def test_points_belong_to_their_own_surface(client, explicit) -> None:
    other = client.surface()
    explicit.attach()
    explicit.points(1, 1)

    other.send("commit")
    explicit.commit()

    client.expect_no_error()


@pytest.mark.requirement("S21")
def test_points_outlive_their_timeline_object(client, explicit) -> None:
    explicit.attach()
    explicit.points(1, 1)
    explicit.acquire.proxy.send("destroy")
    explicit.release.proxy.send("destroy")
    explicit.commit()

    client.expect_no_error()


@pytest.mark.requirement("S50", "S13")
def test_earlier_commits_are_not_judged(client, world) -> None:
    window = client.toplevel()
    window.surface.send("attach", client.dmabuf(), 0, 0)
    window.surface.send("commit")
    world.run(40)

    client.make(client.bind(MANAGER), "get_surface", window.surface)
    window.surface.send("commit")

    client.expect_no_error()


@pytest.mark.requirement("S51", "S52", "S85")
def test_without_the_object_commits_need_no_points_and_buffers_are_released(client, world, explicit) -> None:
    explicit.attach()
    explicit.points(1, 1)
    explicit.sync.send("destroy")
    explicit.commit()
    world.run(40)

    explicit.attach(client.dmabuf())
    explicit.commit()
    world.run(60)

    client.expect_no_error()
    assert explicit.buffer.events == [("release",)]


@pytest.mark.requirement("S53", "X1")
def test_the_initial_commit_needs_no_points(client) -> None:
    manager, base = client.bind(MANAGER), client.bind("xdg_wm_base")
    surface = client.surface()
    client.make(manager, "get_surface", surface)
    xdg = client.make(base, "get_xdg_surface", surface)
    client.make(xdg, "get_toplevel")

    surface.send("commit")

    client.expect_no_error()
    assert xdg.heard("configure")


@pytest.mark.requirement("S55")
@pytest.mark.parametrize("version", [1, 2, 3, 4, 5, 6])
def test_dmabufs_of_every_version_have_explicit_sync(client, world, explicit, version) -> None:
    fd, pitch = world.dumb(64, 64)
    params = client.make(client.bind("zwp_linux_dmabuf_v1", version), "create_params")
    params.send("add", fd, 0, 0, pitch, 0)
    params.send("create", 64, 64, 0x34325258, 0)
    client.roundtrip()
    (buffer,) = params.last("created")

    explicit.show(1, 1, buffer)

    client.expect_no_error()
    os.close(fd)


@pytest.mark.requirement("S2", "S6")
def test_nothing_is_ever_said_by_these_objects(client, world, explicit) -> None:
    explicit.acquire.signal(1)
    explicit.show(1, 1)
    world.run(100)

    assert explicit.manager.events == explicit.sync.events == explicit.acquire.proxy.events == []


# -- points on their way --------------------------------------------------------------------------


@pytest.mark.requirement("S57", "S59", "S100")
def test_nothing_is_shown_before_the_acquire_point(client, world, explicit) -> None:
    done = client.make(explicit.surface, "frame")
    explicit.show(1, 1)
    world.run(200)
    assert done.events == []

    explicit.acquire.signal(1)
    world.run(40)

    assert done.heard("done")


@pytest.mark.requirement("S70", "S71")
def test_a_replaced_buffer_is_given_back_by_its_point(client, world, explicit) -> None:
    explicit.acquire.signal(2)
    explicit.show(1, 1)
    world.run(50)
    assert explicit.release.value() == 0

    explicit.show(2, 2, client.dmabuf())
    world.run(50)

    assert explicit.release.value() == 1


@pytest.mark.requirement("S78", "S94", "S80")
@pytest.mark.parametrize("how", ["surface destroyed", "client gone"])
def test_what_still_waits_is_given_back_when_its_surface_goes(client, world, explicit, how) -> None:
    explicit.show(1, 9)
    world.run(50)

    if how == "client gone":
        client.hang_up()
    else:
        for each in (explicit.window.toplevel, explicit.window.xdg, explicit.surface):
            each.send("destroy")
    world.run(50)

    assert explicit.release.value() == 9


@pytest.mark.requirement("S46", "S61")
def test_only_the_offender_is_disconnected(client, world, explicit) -> None:
    witness = world.client()
    window = witness.toplevel()

    explicit.points(1, 1)
    explicit.commit()
    client.roundtrip()
    buffer, _ = witness.shm_buffer()
    window.surface.send("attach", buffer, 0, 0)
    done = witness.make(window.surface, "frame")
    window.surface.send("commit")
    world.run(50)

    assert client.error == (SURFACE, NO_BUFFER)
    witness.expect_no_error()
    assert done.heard("done")


@pytest.mark.requirement("S21", "S26")
@pytest.mark.parametrize(
    "how", ["replaced", "committed", "object destroyed", "surface destroyed", "client gone"]
)
def test_a_timeline_that_only_a_pending_point_kept_is_let_go(client, world, explicit, how) -> None:
    """Each way leads to exactly one destruction: a second would be an error of the machine, and of ours."""
    client.roundtrip()
    before = syncobjs(world)
    explicit.attach()
    explicit.points(1, 1)
    explicit.acquire.proxy.send("destroy")
    client.roundtrip()
    if how == "replaced":
        explicit.acquire = client.timeline(explicit.manager)
        explicit.points(1, None)
    elif how == "committed":
        explicit.acquire.signal(1)
        explicit.commit()
    elif how == "object destroyed":
        explicit.sync.send("destroy")
    elif how == "surface destroyed":
        for each in (explicit.window.toplevel, explicit.window.xdg, explicit.surface, explicit.sync):
            each.send("destroy")
    else:
        client.hang_up()
    world.run(50)
    if how == "committed":  # the core keeps it as long as it keeps the image
        explicit.acquire = client.timeline(explicit.manager)
        explicit.acquire.signal(1)
        explicit.show(1, 2, client.dmabuf())
        world.run(50)

    added = {"replaced": 1, "committed": 1, "client gone": -1}.get(how, 0)
    assert syncobjs(world) == before - 1 + added
    world.core.check_invariants()
    world.client().expect_no_error()


def syncobjs(world) -> int:
    """How many the compositor's file has handles of."""
    return len(world.card.file.syncobjs.items())
