"""Recorded ioctl scenarios, run on the model and compared with what real kernels did.

`scenario` is the file format, the `…_ops` modules are its operations, `process` is the user space that
performs them, `threads` its threads on model time, `kernel` the devices below, `compare` the judgement.
"""
