"""Edges: how bytes and descriptors travel."""
