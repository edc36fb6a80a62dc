"""Present latency: from a client's commit to the vblank that shows it, and where the time went.

`plan` is what was asked for, `stage` starts the compositors, `run` lets clients perform on them in turns, `rows` joins what
all parts wrote into one row per frame, `outcome` adds up, `noise` says what the run itself cannot know. `table`, `page` and
`track` show it: in the terminal, as an HTML page, as a Perfetto trace.
"""
