"""Single cells on virtual time: who stalls there by the rules, and who must not."""

import msgspec
import pytest
from msgspec.structs import replace

from syncline.compositor.core.policy import AcquireMode
from syncline.lab.matrix import virtual
from syncline.lab.matrix.plan import Client, Compositor, Kms, Options, Place
from syncline.lab.matrix.verdict import Cell, judge

OPTIONS = Options(seconds=1.0, seed=3)
GPU_NS = 24_000_000
REFRESH_NS = 16_666_667
FIRST_MARGIN_NS = 4_000_000

EVERY_DISPLAY = pytest.mark.parametrize("kms", Kms)
WAIT, FORWARD, USER_FORWARD = AcquireMode.SIGNAL_WAIT, AcquireMode.FENCE_FORWARD, AcquireMode.USER_FORWARD


def perform(client: Client, compositor: Compositor, acquire: AcquireMode, kms: Kms) -> Cell:
    place = Place(client, compositor, acquire, kms)
    return judge(place, virtual.perform(place, OPTIONS), OPTIONS)


def sites(cell: Cell) -> list[tuple[str, str]]:
    return [(stall.thread, stall.call) for stall in cell.stalls]


def missed(cell: Cell) -> int:
    assert cell.bystander is not None
    return cell.bystander.missed_vblanks


@EVERY_DISPLAY
@pytest.mark.parametrize("compositor", Compositor)
def test_what_the_cpu_has_painted_is_waited_for_by_nobody(compositor: Compositor, kms: Kms) -> None:
    cell = perform(Client.SHM, compositor, WAIT, kms)

    assert cell.works
    assert (cell.stalls, cell.holds, missed(cell)) == ((), (), 0)
    assert cell.c2p == cell.f2p


@EVERY_DISPLAY
@pytest.mark.parametrize(
    ("client", "compositor", "why"),
    [
        (Client.IMPLICIT, Compositor.IMPLICIT, "implicit-fence"),
        (Client.IMPLICIT, Compositor.USER, "implicit-fence"),
        (Client.DMA, Compositor.DMA, "acquire-point"),
        (Client.DMA, Compositor.USER, "acquire-point"),
        (Client.USER, Compositor.DMA, "acquire-point"),
        (Client.USER, Compositor.USER, "acquire-point"),
    ],
)
def test_signal_wait_holds_the_update_back_and_no_thread_sleeps(
    client: Client, compositor: Compositor, why: str, kms: Kms
) -> None:
    """DESIGN 5: a candidate when signalled. The wait is the GPU's time, and an eventfd tells its end."""
    cell = perform(client, compositor, WAIT, kms)

    assert cell.stalls == ()
    assert [(hold.why, hold.durations.p50) for hold in cell.holds] == [(why, GPU_NS)]
    assert missed(cell) == 0


@EVERY_DISPLAY
@pytest.mark.parametrize(
    ("client", "compositor"),
    [
        (Client.IMPLICIT, Compositor.IMPLICIT),
        (Client.DMA, Compositor.DMA),
        (Client.DMA, Compositor.USER),
    ],
)
def test_a_forwarded_dma_fence_stalls_the_commit_worker_and_everybody_on_that_screen(
    client: Client, compositor: Compositor, kms: Kms
) -> None:
    """kernel.md 3.3, step 8: in the worker, uninterruptible; until then every commit of the CRTC is EBUSY."""
    cell = perform(client, compositor, FORWARD, kms)

    assert sites(cell) == [("kernel commit worker", "wait_for_fences")]
    assert not cell.claims_isolation
    assert missed(cell) > 10


@EVERY_DISPLAY
def test_an_unsignalled_user_point_is_not_available_so_fence_forward_has_nothing_to_forward(kms: Kms) -> None:
    """kernel.md 6.7, Q3: available implies bounded, for every caller that existed before user fences."""
    cell = perform(Client.USER, Compositor.DMA, FORWARD, kms)

    assert cell.stalls == ()
    assert cell.holds[0].durations.p50 == GPU_NS
    assert missed(cell) == 0


@EVERY_DISPLAY
@pytest.mark.parametrize("compositor", Compositor)
def test_user_fences_without_a_protocol_are_waited_for_on_the_clients_own_submit_thread(
    compositor: Compositor, kms: Kms
) -> None:
    """F27, F37: the third of the places where waiting is right."""
    cell = perform(Client.SUBMIT_THREAD, compositor, WAIT, kms)

    assert sites(cell) == [("client submit thread", "SYNCOBJ_TIMELINE_WAIT")]
    assert cell.stalls[0].durations.p50 == GPU_NS
    assert (cell.last_resort_stalls, missed(cell)) == (0, 0)
    assert cell.c2p is not None
    assert cell.f2p is not None
    assert cell.f2p.p50 - cell.c2p.p50 >= GPU_NS - REFRESH_NS, "what it waited before the commit counts, too"


@EVERY_DISPLAY
@pytest.mark.parametrize("compositor", Compositor)
def test_the_last_resort_stalls_the_client_that_asks_for_it_once_a_frame(
    compositor: Compositor, kms: Kms
) -> None:
    """kernel.md 6.2, TRANSFER user to dma; F25, F26: allowed, counted, reported."""
    cell = perform(Client.LAST_RESORT, compositor, WAIT, kms)

    assert sites(cell) == [("client main", "SYNCOBJ_TRANSFER")]
    assert cell.last_resort_stalls == cell.stalls[0].durations.count > 10
    assert missed(cell) == 0


@EVERY_DISPLAY
@pytest.mark.parametrize("client", [Client.DMA, Client.USER])
def test_points_need_the_global_that_an_implicit_compositor_has_not(client: Client, kms: Kms) -> None:
    cell = perform(client, Compositor.IMPLICIT, WAIT, kms)

    assert not cell.works
    assert "does not offer wp_linux_drm_syncobj_manager_v1" in cell.why
    assert (cell.stalls, cell.c2p, cell.bystander) == ((), None, None)


@EVERY_DISPLAY
@pytest.mark.parametrize("compositor", [Compositor.IMPLICIT, Compositor.DMA])
def test_user_forward_needs_a_compositor_that_tells_user_points_from_others(
    compositor: Compositor, kms: Kms
) -> None:
    cell = perform(Client.USER, compositor, USER_FORWARD, kms)

    assert not cell.works
    assert "--sync user" in cell.why


def test_where_the_display_takes_user_fences_its_worker_waits_and_no_neighbour_with_it() -> None:
    """kernel.md 6.6, UR5 to UR8: PENDING_USER, before the swap. The rest of the time the compositor watches."""
    cell = perform(Client.USER, Compositor.USER, USER_FORWARD, Kms.USER)

    assert sites(cell) == [("kernel commit worker", "PENDING_USER")]
    assert cell.stalls[0].durations.max < REFRESH_NS, "it is in the display for one vblank at a time"
    assert [hold.why for hold in cell.holds] == ["acquire-point"]
    assert cell.claims_isolation
    assert (cell.last_resort_stalls, missed(cell)) == (0, 0)


def test_a_display_that_takes_no_user_fences_leaves_them_to_the_compositor() -> None:
    cell = perform(Client.USER, Compositor.USER, USER_FORWARD, Kms.DMA)

    assert cell.stalls == ()
    assert [(hold.why, hold.durations.p50) for hold in cell.holds] == [("acquire-point", GPU_NS)]
    assert missed(cell) == 0


@EVERY_DISPLAY
@pytest.mark.parametrize("client", [Client.DMA, Client.IMPLICIT])
def test_user_forward_does_with_dma_fences_as_signal_wait_does(client: Client, kms: Kms) -> None:
    assert replace(perform(client, Compositor.USER, USER_FORWARD, kms), acquire="", command="") == replace(
        perform(client, Compositor.USER, WAIT, kms), acquire="", command=""
    )


def test_the_bystanders_own_clock_agrees_that_nothing_was_taken_from_it() -> None:
    """What the compositor counts, seen from the other side: no frame later than a refresh and the margin."""
    for acquire in (WAIT, USER_FORWARD):
        cell = perform(Client.USER, Compositor.USER, acquire, Kms.USER)

        assert cell.bystander is not None
        assert cell.bystander.c2p.max <= REFRESH_NS + FIRST_MARGIN_NS


def test_the_same_seed_gives_the_same_cell_and_another_seed_another() -> None:
    place = Place(Client.DMA, Compositor.DMA, FORWARD, Kms.DMA)
    again, other = (
        msgspec.json.encode(judge(place, virtual.perform(place, options), options))
        for options in (OPTIONS, Options(seconds=1.0, seed=4))
    )

    assert again == msgspec.json.encode(perform(*place))
    assert other != again


def test_a_cell_carries_the_command_that_repeats_it() -> None:
    cell = perform(Client.DMA, Compositor.USER, WAIT, Kms.DMA)

    assert cell.command == (
        "syncline matrix --client dma --compositor user --acquire signal-wait --kms dma "
        "--seconds 1 --gpu-time 24 --seed 3"
    )
