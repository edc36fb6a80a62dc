"""All cells that were asked for, one after the other or as many at once as there are processors."""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Final

from syncline.lab.matrix import real, virtual
from syncline.lab.matrix.outcome import Matrix
from syncline.lab.matrix.plan import Options, Place
from syncline.lab.matrix.verdict import Cell, judge
from syncline.lab.present.machine import Probe
from syncline.lab.present.run import terminable

CELLS_ALONE: Final = 8
"""So few are performed before helpers would have started."""


def record(options: Options, *, on_cell: Callable[[str], None] | None = None) -> Matrix:
    """`on_cell` hears of every cell as it is done. Raises Usage if a real one cannot be performed."""
    places, machine = options.places, None
    if options.real:
        probe = Probe()
        with terminable():
            cells = _followed(_real(places, options, probe), len(places), on_cell)
        machine = probe.read()
    else:
        cells = _followed(_virtual(places, options), len(places), on_cell)
    return Matrix(
        command=options.command(),
        seed=options.seed,
        seconds=options.seconds,
        gpu_ms=options.gpu_time,
        real=options.real,
        machine=machine,
        cells=cells,
    )


def _followed(cells: Iterator[Cell], number: int, on_cell: Callable[[str], None] | None) -> tuple[Cell, ...]:
    done = []
    for cell in cells:
        done.append(cell)
        if on_cell is not None:
            on_cell(f"cell {len(done)} of {number}: {cell.command}")
    return tuple(done)


def _real(places: Sequence[Place], options: Options, probe: Probe) -> Iterator[Cell]:
    """One at a time: they would disturb each other."""
    for place in places:
        yield judge(place, real.perform(place, options, probe), options)


def _virtual(places: Sequence[Place], options: Options) -> Iterator[Cell]:
    """In the order of the places, whoever performs them."""
    perform = partial(_perform_virtually, options)
    helpers = len(os.sched_getaffinity(0)) if len(places) > CELLS_ALONE else 1
    if helpers == 1:
        yield from map(perform, places)
        return
    ignore = (signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches helpers, too, and is for us to hear
    with ProcessPoolExecutor(helpers, get_context("spawn"), signal.signal, ignore) as pool:
        try:
            yield from pool.map(perform, places)
        except KeyboardInterrupt:
            pool.shutdown(cancel_futures=True)
            raise


def _perform_virtually(options: Options, place: Place) -> Cell:
    return judge(place, virtual.perform(place, options), options)
