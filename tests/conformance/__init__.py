"""The conformance suite: judges any compositor by its socket. Sees `protocol`, the device door and `target`."""
