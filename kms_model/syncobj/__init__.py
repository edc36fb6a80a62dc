"""drm_syncobj: a box for a fence, or a timeline of them, and its calls (kernel.md 2.5-2.7)."""
