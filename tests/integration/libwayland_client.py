"""A client made of real libwayland: binds everything, uses every kind of argument, ends with an error.

    python libwayland_client.py SOCKET

Prints what it heard as one JSON object. What went over the wire is on stderr if WAYLAND_DEBUG is set.
"""

import json
import os
import sys
from typing import Any

from pywayland.client import Display
from pywayland.protocol.wayland import WlCompositor, WlDataDeviceManager, WlSeat, WlShm


def main(socket: str) -> dict[str, Any]:
    heard: dict[str, Any] = {"globals": {}, "motion": [], "keymap": ""}
    with Display(socket) as display:
        registry = display.get_registry()
        names: dict[str, int] = {}

        def on_global(_registry: object, name: int, interface: str, version: int) -> None:
            names[interface] = name
            heard["globals"][interface] = version

        registry.dispatcher["global"] = on_global
        display.roundtrip()

        compositor = registry.bind(names["wl_compositor"], WlCompositor, 6)
        surface = compositor.create_surface()
        frame = surface.frame()
        frame.dispatcher["done"] = lambda _frame, data: heard.update(done=data)
        surface.damage(-1, 2, 3, 4)
        surface.attach(None, 0, 0)
        surface.commit()

        shm = registry.bind(names["wl_shm"], WlShm, 1)
        memory = os.memfd_create("pool")
        os.truncate(memory, 4096)
        pool = shm.create_pool(memory, 4096)
        os.close(memory)
        buffer = pool.create_buffer(0, 16, 16, 64, 1)
        surface.attach(buffer, 0, 0)
        pool.destroy()

        seat = registry.bind(names["wl_seat"], WlSeat, 7)
        seat.dispatcher["name"] = lambda _seat, name: heard.update(seat=name)
        pointer = seat.get_pointer()
        pointer.dispatcher["motion"] = lambda _pointer, time, x, y: heard["motion"].append((time, x, y))
        keyboard = seat.get_keyboard()

        def on_keymap(_keyboard: object, _format: int, fd: int, size: int) -> None:
            heard["keymap"] = os.pread(fd, size, 0).decode()
            os.close(fd)

        keyboard.dispatcher["keymap"] = on_keymap
        keyboard.dispatcher["enter"] = lambda _keyboard, _serial, focus, keys: heard.update(
            focus=focus is surface, keys=list(keys)
        )
        manager = registry.bind(names["wl_data_device_manager"], WlDataDeviceManager, 3)
        device = manager.get_data_device(seat)
        offers: list[Any] = []
        device.dispatcher["data_offer"] = lambda _device, offer: offers.append(offer)
        device.dispatcher["selection"] = lambda _device, offer: heard.update(selection=offer is offers[0])
        display.roundtrip()

        offers[0].destroy()
        surface.destroy()
        for _ in range(3):
            display.roundtrip()
        again = compositor.create_surface()
        heard["reused"] = again is not None
        again.commit()
        try:
            display.roundtrip()
            display.dispatch(block=True)
        except RuntimeError as error:
            heard["error"] = str(error)
    return heard


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1])))
