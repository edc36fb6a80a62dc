"""Upstream hazards, and those of them that a study may want repaired (kernel.md 3.8)."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Quirks:
    """True: as upstream. Without a switch are what is uAPI or architecture, and always as upstream:

    H6, QUERY goes back after points out of order; H7, a transfer to point 0 leaves a timeline there;
    H8, a fence that never signals wedges a CRTC; H9, an unknown handle is EINVAL in two ioctls, ENOENT elsewhere.
    H4 (execbuffer's RESET) and H5 (32-bit points) are of drivers that are not modelled.
    """

    chain_in_chain: bool = True
    """H1: importing a sync_file that holds a chain at a point nests the chain (and WARNs); repaired: flattens."""
    failed_import_leaks: bool = True
    """H2: importing a sync_file at a point without memory for the node leaks the fence and the syncobj."""
    disabled_plane_fence_leaks: bool = True
    """H3: IN_FENCE_FD on a plane being disabled leaks a reference and WARNs."""


UPSTREAM: Final = Quirks()
REPAIRED: Final = Quirks(chain_in_chain=False, failed_import_leaks=False, disabled_plane_fence_leaks=False)
