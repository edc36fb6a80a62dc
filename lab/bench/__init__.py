"""Measurements. Every figure is a median, and stands beside what the same machine does with bare system calls."""
