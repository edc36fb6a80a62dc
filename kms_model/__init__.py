"""THE MACHINE: fences, buffers, GPU, display, and time. It has never heard of Wayland.

May import: itself. Others come in through `uapi` (values) and a `DeviceFile` from `local` or `remote`.
"""
