"""Messages to bytes and back: one module per wire, the same messages on each."""
