"""Upstream hazards, and those of them that a study may want repaired (kernel.md 3.8)."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Quirks:
    """True: as upstream. The hazards without a switch are uAPI or architecture, or of drivers that are not modelled:

    - H4: virtio-gpu resets in-syncobjs after it has published the out-fences. Not modelled: no RESET in our submit.
    - H5: msm hands 64-bit points to a helper that takes 32. Not modelled: ours takes 64.
    - H6: QUERY goes back after points out of order. Always.
    - H7: a transfer to point 0 may leave a timeline in a binary syncobj. Always.
    - H8: an in-fence that never signals wedges its CRTC. Always.
    - H9: an unknown handle is EINVAL in DESTROY and plain HANDLE_TO_FD, ENOENT elsewhere. Always.
    """

    chain_in_chain: bool = True
    """H1: importing a sync_file that holds a chain at a point nests the chain (and WARNs); repaired: flattens."""
    failed_import_leaks: bool = True
    """H2: importing a sync_file at a point without memory for the node leaks the fence and the syncobj."""
    disabled_plane_fence_leaks: bool = True
    """H3: IN_FENCE_FD on a plane being disabled leaks a reference and WARNs."""


UPSTREAM: Final = Quirks()
REPAIRED: Final = Quirks(chain_in_chain=False, failed_import_leaks=False, disabled_plane_fence_leaks=False)
