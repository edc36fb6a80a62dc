"""User fences: numbers in shared memory that promise nothing, and their calls (kernel.md 6)."""
