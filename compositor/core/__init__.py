"""Decisions only. Requests and device news come in, effects go out, time is an argument.

May import: kms_model.uapi, protocol.enums. Never: sockets, threads, clocks, randomness.
"""
