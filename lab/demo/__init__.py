"""The demo: device, compositor and clients, run for some seconds and judged by the events they emit.

`cast` says who plays, `real` runs them as processes and `virtual` in one process on virtual time,
`ledger` adds up what they report, `table` shows it, `verb` is the command.
"""
