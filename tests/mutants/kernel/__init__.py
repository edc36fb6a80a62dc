"""Machines with one rule of the kernel broken each: what replay and the machine's tests are judged by."""
