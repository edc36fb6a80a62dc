"""Wire objects of the server: each request checked, collected or handed to the core; each effect told.

May import: compositor.core, protocol, kms_model.uapi. Never: sockets, clocks, waiting. It does touch two
kinds of descriptors, both of memory: clients' pools (read with pread) and our own memfds.
"""
