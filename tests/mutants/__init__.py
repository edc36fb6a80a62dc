"""Synclines with one rule broken each: what the conformance suite is judged by."""
