"""The neighbour everybody fears: `solid` with GPU jobs longer than two refreshes.

It breaks no rule. What a compositor may not do is let its jobs delay anybody else's frames.
"""

from typing import Final

from syncline.clients import solid
from syncline.clients.toolkit.loop import Context

GPU_MS: Final = 40.0


async def run(context: Context) -> None:
    """`solid`, on whatever engine time per frame the options say (`GPU_MS` by default)."""
    await solid.run(context)
