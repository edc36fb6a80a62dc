"""Upstream hazards that a study may want repaired (kernel.md 3.8)."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Quirks:
    """True: as upstream. H6 to H9 are uAPI or architecture, and always as upstream."""

    chain_in_chain: bool = True
    """H1: importing a sync_file that holds a chain at a point nests the chain (and WARNs); repaired: flattens."""
    import_leaks: bool = True
    """H2: a failing import at a point leaks references; visible only with injected allocation failures."""
    disabled_plane_fence_leaks: bool = True
    """H3: IN_FENCE_FD on a plane being disabled leaks a reference and WARNs."""
    late_reset: bool = True
    """H4: execbuffer resets in-syncobjs after it has published the out-fences, and on late errors."""
    narrow_points: bool = True
    """H5: scheduler dependencies take the low 32 bits of a timeline point."""


UPSTREAM: Final = Quirks()
REPAIRED: Final = Quirks(
    chain_in_chain=False,
    import_leaks=False,
    disabled_plane_fence_leaks=False,
    late_reset=False,
    narrow_points=False,
)
