"""The GPU: one render engine that paints slowly enough to be watched, and a scheduler in front of it.

Files submit command lists to entities (one per file and priority, strict order inside); the scheduler gives
the engine to one job for a slice at a time; the picture says which rows are done by when.
"""
