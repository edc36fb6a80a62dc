"""dma_fence and what is made of it: arrays, chains, merges, sync_files, and a timeline for tests (kernel.md 2.1-2.4)."""
