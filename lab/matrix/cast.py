"""Who plays in a cell: the subject, whose frames are late, and a bystander, who is never late by itself."""

from typing import Final

from syncline.clients.toolkit.options import Options as Orders
from syncline.lab.demo.cast import Role
from syncline.lab.matrix.plan import Client, Options, Place

SUBJECT: Final = "subject"
BYSTANDER: Final = "bystander"
BYSTANDER_RATE: Final = 25.0
"""Frames per second. There are vblanks without one, at which a compositor may try what it would not do beside one."""

DEMO_OF: Final = {
    Client.SHM: "shm",
    Client.IMPLICIT: "implicit",
    Client.DMA: "solid",
    Client.USER: "userfence",
    Client.SUBMIT_THREAD: "submit-thread",
    Client.LAST_RESORT: "submit-thread",
}


def subject(place: Place, options: Options) -> Role:
    """Begins each frame at a random phase of the display, so that it meets every one."""
    orders = Orders(
        title=SUBJECT,
        client_id=1,
        seed=options.seed + 1,
        gpu_ms=options.gpu_time,
        random_phase=True,
        no_thread=place.client is Client.LAST_RESORT,
    )
    return Role(DEMO_OF[place.client], orders)


def bystander(options: Options) -> Role:
    """A film: on a clock of its own, at every phase of the display. From shared memory, so that it waits for nothing."""
    orders = Orders(
        title=BYSTANDER, client_id=2, seed=options.seed + 2, rate=BYSTANDER_RATE, random_phase=True
    )
    return Role("shm", orders)
