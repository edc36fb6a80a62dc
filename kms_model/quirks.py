"""Upstream hazards that a study may want repaired (kernel.md 3.8)."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Quirks:
    """True: as upstream. H6 to H9 are uAPI or architecture, and always as upstream.

    H2 (a leak when an allocation fails), H4 (execbuffer's RESET) and H5 (32-bit points, in drivers
    that are not modelled) cannot be seen here.
    """

    chain_in_chain: bool = True
    """H1: importing a sync_file that holds a chain at a point nests the chain (and WARNs); repaired: flattens."""
    disabled_plane_fence_leaks: bool = True
    """H3: IN_FENCE_FD on a plane being disabled leaks a reference and WARNs."""


UPSTREAM: Final = Quirks()
REPAIRED: Final = Quirks(chain_in_chain=False, disabled_plane_fence_leaks=False)
