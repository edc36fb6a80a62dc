"""Which choices go together."""

from itertools import product

import pytest

from syncline.compositor.core.policy import AcquireMode, Policy, Sync

TOGETHER = {
    *product(Sync, [AcquireMode.SIGNAL_WAIT]),
    (Sync.DMA, AcquireMode.FENCE_FORWARD),
    (Sync.USER, AcquireMode.FENCE_FORWARD),
    (Sync.USER, AcquireMode.USER_FORWARD),
}


@pytest.mark.parametrize(("sync", "acquire"), list(product(Sync, AcquireMode)))
def test_an_acquire_mode_needs_a_compositor_that_knows_such_points(sync: Sync, acquire: AcquireMode) -> None:
    objection = Policy(sync=sync, acquire=acquire).objection

    assert (objection is None) == ((sync, acquire) in TOGETHER)


def test_the_objection_says_what_would_do() -> None:
    policy = Policy(sync=Sync.IMPLICIT, acquire=AcquireMode.FENCE_FORWARD)

    assert policy.objection == "--acquire fence-forward needs --sync dma or user"
