"""THE JUDGEMENT: `core` decides, `wayland` translates, `loop` is the only place that waits.

    __main__ > loop > wayland > core

May import: protocol, kms_model. Never: clients, lab.
"""
