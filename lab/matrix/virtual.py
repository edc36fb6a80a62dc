"""A cell in this process on virtual time: the same seed gives the same bytes."""

from typing import Final

from syncline.clients.catalogue import DEMOS
from syncline.clients.toolkit.report import Emit
from syncline.kms_model.loops import NS_PER_S, VirtualLoop, run_virtual, sleep_until
from syncline.lab.demo.cast import Role
from syncline.lab.matrix.cast import bystander, subject
from syncline.lab.matrix.evidence import WARM_UP_NS, Evidence
from syncline.lab.matrix.plan import Options, Place
from syncline.lab.virtual import Guest, House

DEBUT_NS: Final = NS_PER_S // 5
"""Who has shown no frame by then never will."""


def perform(place: Place, options: Options) -> Evidence:
    """As long as it takes to compute."""
    if place.objection:
        return Evidence(objection=place.objection)
    return run_virtual(lambda loop: _perform(loop, place, options))


async def _perform(loop: VirtualLoop, place: Place, options: Options) -> Evidence:
    evidence = Evidence()
    house = House(
        loop,
        profile=place.profile,
        policy=place.policy,
        hear_device=evidence.device.append,
        hear_compositor=evidence.compositor.extend,
    )
    await house.light()
    guests = [
        _enter(house, subject(place, options), evidence.subject.append),
        _enter(house, bystander(options), evidence.bystander.append),
    ]
    await sleep_until(loop, loop.now_ns() + DEBUT_NS + WARM_UP_NS + options.length_ns)
    complaints = [await guest.leave("the cell is over") for guest in guests]
    house.close()
    evidence.objection = next(filter(None, complaints), "")
    return evidence


def _enter(house: House, role: Role, emit: Emit) -> Guest:
    return Guest(house, DEMOS[role.demo], role.options, emit)
