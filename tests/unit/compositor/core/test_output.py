"""The redraw cycle as a table, and when to latch."""

from itertools import product

import pytest
from world import MS, World

from syncline.compositor.core.output import NEXT_PHASE, RIGHT_AFTER_NS, Cue, Phase
from syncline.compositor.core.schedule import VblankGrid

REFUSED = {  # what cannot happen
    *product([Phase.IDLE], set(Cue) - {Cue.DAMAGED}),
    (Phase.SCHEDULED, Cue.FLIPPED),
    *product(
        [Phase.FLIPPING, Phase.FLIPPING_STALE, Phase.PARKED],
        [Cue.LATCHED, Cue.NOTHING, Cue.REFUSED, Cue.PARKED],
    ),
    (Phase.FLIPPING, Cue.PROMOTED),
    (Phase.PARKED, Cue.FLIPPED),
}


@pytest.mark.parametrize(("phase", "cue"), list(product(Phase, Cue)))
def test_every_cue_in_every_phase_is_either_in_the_table_or_refused(phase: Phase, cue: Cue) -> None:
    assert ((phase, cue) in NEXT_PHASE) != ((phase, cue) in REFUSED)


def test_the_target_is_the_first_vblank_whose_latch_is_not_yet_past() -> None:
    grid = VblankGrid(refresh_ns=16 * MS, last_ns=100 * MS, last_sequence=7)

    assert grid.target_for(now_ns=100 * MS, margin_ns=4 * MS) == 116 * MS
    assert grid.target_for(now_ns=112 * MS, margin_ns=4 * MS) == 116 * MS
    assert grid.target_for(now_ns=112 * MS + 1, margin_ns=4 * MS) == 132 * MS
    assert grid.target_for(now_ns=1000 * MS, margin_ns=4 * MS) == 1012 * MS, "long idle: the grid goes on"


@pytest.mark.requirement("T5")
def test_what_comes_after_a_latch_aims_at_the_vblank_after_that_frames() -> None:
    (output,) = World().core.outputs
    first_ns, refresh_ns, margin_ns = output.grid.last_ns, output.refresh_ns, output.margin.value_ns
    output.cue(Cue.DAMAGED, first_ns)
    latch_ns = output.latch_ns
    assert output.aim_from(latch_ns) == first_ns + refresh_ns
    output.cue(Cue.LATCHED, latch_ns)

    assert output.aim_from(latch_ns - 1) == first_ns + 2 * refresh_ns
    assert output.turn_of(first_ns + 2 * refresh_ns) == first_ns + refresh_ns - margin_ns + RIGHT_AFTER_NS
