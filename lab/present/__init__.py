"""Present latency: from a client's commit to the vblank that shows it, and where the time went.

`plan` is what was asked for, `stage` starts the compositors, `run` lets clients perform on them in turns, `events` reads what
all parts wrote, `rows` joins it into one row per frame, `outcome` adds up. `machine` and `witness` say what the run itself
could not help, and `standstill` which vblanks that cost. `table`, `page` and `track` show it: in the terminal, as an HTML
page, as a Perfetto trace.
"""
