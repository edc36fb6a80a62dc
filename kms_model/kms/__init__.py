"""The display: CRTCs, planes, connectors and atomic commits, in the kernel's step order (kernel.md 3).

A commit passes through `parse` (properties into a state), `signalling` (events and fences that it
will owe), `check`, `commit` (who waits for what) and `tail` (what the hardware does), in this order.
`pending` keeps those that wait for user fences (`user_points`, `point`) between `check` and `commit`.
`display` is the whole device side, `ioctls` the door, `view` what an onlooker may see.
"""
