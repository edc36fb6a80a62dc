"""What is known of the kernel that is modelled: reasons not to report it again."""

from typing import Final

from syncline.kms_model.checker.ledger import Known

STAMPS: Final = Known(
    "a CRTC that is switched off stamps its out-fence with its last vblank", "K7 * vblank early stamp"
)
UPSTREAM: Final = (
    STAMPS,
    Known("H1: IMPORT_SYNC_FILE at a point does not unwrap", "K9 chain in *"),
    Known("H3: IN_FENCE_FD on a plane without a framebuffer", "H3 *"),
    Known("H6: unordered points are allowed, and QUERY goes back", "K20 [uq]*"),
    Known("sw_sync is for tests, and may break every promise", "K2 sw_sync *"),
    Known("the allocator warns of absurd counts", "WARN alloc"),
)
"""Everything that recorded scenarios do on purpose."""
