"""Buffers, which fences they carry, and the calls on both (kernel.md 2.8, 2.9)."""
