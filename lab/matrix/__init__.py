"""The stall matrix: every kind of client on every kind of compositor and display, and who has to wait there.

`plan` is what was asked for, `virtual` and `real` perform one cell, `verdict` says what it came to; `table` and `picture`
show the whole, `verb` is the command. Words as in docs/matrix.md.
"""
