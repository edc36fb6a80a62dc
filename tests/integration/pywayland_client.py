"""An independent client: real libwayland (through pywayland) does the whole explicit-sync path.

    python pywayland_client.py SOCKET DEVICE FRAMES

Nothing of our own protocol code is in it, so what it sees on the wire is what any toolkit would see. It
prints one JSON object: what was presented, which release points came, or the protocol error. Exit 0 when
every frame was presented and every release point came, else 1.
"""

import ctypes
import json
import mmap
import os
import select
import struct
import sys
import time
from dataclasses import asdict, dataclass, field

import pywayland
from pywayland import ffi
from pywayland.client import Display
from pywayland.protocol.linux_dmabuf_v1 import ZwpLinuxDmabufV1
from pywayland.protocol.linux_drm_syncobj_v1 import WpLinuxDrmSyncobjManagerV1
from pywayland.protocol.presentation_time import WpPresentation
from pywayland.protocol.wayland import WlCompositor
from pywayland.protocol.xdg_shell import XdgWmBase

from syncline.kms_model.remote import RemoteFile
from syncline.kms_model.uapi import (
    FORMAT_XRGB8888,
    MODIFIER_LINEAR,
    CreateDumb,
    Fill,
    Point,
    PrimeHandleToFd,
    Submit,
    SyncobjCreate,
    SyncobjEventfd,
    SyncobjHandleToFd,
    SyncobjQuery,
)

SIZE = (200, 120)
IMAGES = 3
GPU_NS = 2_000_000
PATIENCE_S = 10.0


@dataclass
class Outcome:
    presented: list[dict[str, int]] = field(default_factory=list)
    discarded: list[int] = field(default_factory=list)
    released: list[dict[str, int]] = field(default_factory=list)
    owed: int = 0
    formats: int = 0
    error: dict[str, object] | None = None
    gave_up: str | None = None


class Unfinished(Exception):
    """What was waited for did not come in time."""


class Globals:
    """Binds what is asked for; the proxies live as long as this does, or their events would be lost."""

    def __init__(self, display: Display) -> None:
        self.offers: dict[str, tuple[int, int]] = {}
        self.registry = display.get_registry()
        self.registry.dispatcher["global"] = self._offer
        display.roundtrip()

    def _offer(self, _registry: object, name: int, interface: str, version: int) -> None:
        self.offers[interface] = (name, version)

    def bind(self, kind: type) -> object:
        name, version = self.offers[kind.name]
        return self.registry.bind(name, kind, min(version, kind.version))


class Timeline:
    def __init__(self, device: RemoteFile, manager: object) -> None:
        self.handle = device.call(SyncobjCreate()).handle
        fd = device.call(SyncobjHandleToFd(handle=self.handle)).fd
        self.proxy = manager.import_timeline(fd)
        self.point = 0
        os.close(fd)

    def next_point(self) -> int:
        self.point += 1
        return self.point


class Image:
    def __init__(self, index: int, device: RemoteFile, dmabuf: object, manager: object) -> None:
        self.index = index
        self.release = Timeline(device, manager)
        self.free = True
        self.bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        dumb = device.call(CreateDumb(width=SIZE[0], height=SIZE[1]))
        self.handle, self.pitch = dumb.handle, dumb.pitch
        fd = device.call(PrimeHandleToFd(handle=self.handle)).fd
        params = dmabuf.create_params()
        params.add(fd, 0, 0, self.pitch, MODIFIER_LINEAR >> 32, MODIFIER_LINEAR & 0xFFFFFFFF)
        self.buffer = params.create_immed(*SIZE, FORMAT_XRGB8888, 0)
        params.destroy()
        os.close(fd)


class Client:
    def __init__(self, display: Display, device: RemoteFile, outcome: Outcome) -> None:
        self.display, self.device, self.outcome = display, device, outcome
        globals_ = self.globals = Globals(display)
        self.manager = globals_.bind(WpLinuxDrmSyncobjManagerV1)
        self.presentation = globals_.bind(WpPresentation)
        self.presentation.dispatcher["clock_id"] = self._clock_id
        self.dmabuf = globals_.bind(ZwpLinuxDmabufV1)
        self.feedback = self.dmabuf.get_default_feedback()
        self.feedback.dispatcher["format_table"] = self._format_table
        self.clock_id: int | None = None
        self.formats: set[tuple[int, int]] = set()
        self.in_flight: dict[int, object] = {}
        self.callback: object | None = None
        self.configured = False
        self._open_window()
        self._roundtrip()
        assert self.clock_id == time.CLOCK_MONOTONIC, f"presentation clock {self.clock_id}"
        assert (FORMAT_XRGB8888, MODIFIER_LINEAR) in self.formats, "linear XRGB8888 is not advertised"
        outcome.formats = len(self.formats)
        self.acquire = Timeline(device, self.manager)
        self.images = [Image(n, device, self.dmabuf, self.manager) for n in range(IMAGES)]

    def _open_window(self) -> None:
        self.compositor = self.globals.bind(WlCompositor)
        self.shell = self.globals.bind(XdgWmBase)
        self.shell.dispatcher["ping"] = lambda shell, serial: shell.pong(serial)
        self.surface = self.compositor.create_surface()
        self.xdg_surface = self.shell.get_xdg_surface(self.surface)
        self.xdg_surface.dispatcher["configure"] = self._configure
        self.toplevel = self.xdg_surface.get_toplevel()
        self.toplevel.set_title("pywayland")
        self.sync = self.manager.get_surface(self.surface)
        self.surface.commit()

    def _configure(self, xdg_surface: object, serial: int) -> None:
        xdg_surface.ack_configure(serial)
        self.configured = True

    def _clock_id(self, _presentation: object, clock_id: int) -> None:
        self.clock_id = clock_id

    def _format_table(self, _feedback: object, fd: int, size: int) -> None:
        with mmap.mmap(fd, size, mmap.MAP_PRIVATE, mmap.PROT_READ) as table:  # as D3 tells clients to
            self.formats = {(fourcc, modifier) for fourcc, modifier in struct.iter_unpack("=I4xQ", table[:])}
        os.close(fd)

    def _roundtrip(self) -> None:
        if self.display.roundtrip() < 0:
            self.display.dispatch()  # raises

    def draw(self, number: int) -> None:
        image = next(each for each in self.images if each.free)
        image.free = False
        acquire, release = self.acquire.next_point(), image.release.next_point()
        job = Submit(
            target=image.handle,
            target_size=SIZE,
            pitch=image.pitch,
            commands=(Fill(rect=(0, 0, *SIZE), color=0xFF000000 | number * 0x10305),),
            duration_ns=GPU_NS,
            out_points=(Point(handle=self.acquire.handle, point=acquire),),
        )
        self.device.call(job)
        self.device.call(SyncobjEventfd(handle=image.release.handle, point=release, fd=image.bell))
        self.outcome.owed += 1
        self.surface.attach(image.buffer, 0, 0)
        self.surface.damage_buffer(0, 0, *SIZE)
        self.sync.set_acquire_point(self.acquire.proxy, acquire >> 32, acquire & 0xFFFFFFFF)
        self.sync.set_release_point(image.release.proxy, release >> 32, release & 0xFFFFFFFF)
        self._watch(number)
        self.surface.commit()

    def _watch(self, number: int) -> None:
        feedback = self.in_flight[number] = self.presentation.feedback(self.surface)

        def presented(
            _: object, hi: int, lo: int, ns: int, refresh: int, seq_hi: int, seq_lo: int, flags: int
        ) -> None:
            when_ns = ((hi << 32) + lo) * 10**9 + ns
            seq = (seq_hi << 32) + seq_lo
            self.outcome.presented.append(
                {"frame": number, "t_ns": when_ns, "seq": seq, "refresh_ns": refresh, "flags": flags}
            )
            self.in_flight.pop(number).destroy()

        def discarded(_: object) -> None:
            self.outcome.discarded.append(number)
            self.in_flight.pop(number).destroy()

        feedback.dispatcher["presented"] = presented
        feedback.dispatcher["discarded"] = discarded
        self.callback = self.surface.frame()
        self.callback.dispatcher["done"] = self._frame_done

    def _frame_done(self, callback: object, _time_ms: int) -> None:
        callback._destroy()
        self.callback = None

    def until(self, condition: object, *, waiting_for: str) -> None:
        """Wait in poll(2) for the compositor and for release points, whichever comes."""
        deadline = time.monotonic() + PATIENCE_S
        poll = select.poll()
        poll.register(self.display.get_fd(), select.POLLIN)
        for image in self.images:
            poll.register(image.bell, select.POLLIN)
        while not condition():
            self.display.flush()
            left = deadline - time.monotonic()
            if left <= 0:
                raise Unfinished(f"{waiting_for} did not come within {PATIENCE_S} s")
            self._hear({fd for fd, _ in poll.poll(left * 1000)})

    def _hear(self, ready: set[int]) -> None:
        for image in self.images:
            if image.bell in ready:
                os.eventfd_read(image.bell)
                self._released(image)
        if self.display.get_fd() in ready:
            self.display.read()
            self.display.dispatch()

    def _released(self, image: Image) -> None:
        (value,) = self.device.call(SyncobjQuery(handles=(image.release.handle,))).points
        assert value == image.release.point, (
            f"release timeline at {value}, point {image.release.point} was due"
        )
        image.free = True
        self.outcome.released.append({"image": image.index, "point": value, "t_ns": time.monotonic_ns()})

    def run(self, frames: int) -> None:
        for number in range(1, frames + 1):
            self.until(lambda: self.callback is None, waiting_for="a frame callback")
            self.until(lambda: any(image.free for image in self.images), waiting_for="a release point")
            self.draw(number)
        self.until(lambda: not self.in_flight, waiting_for="the last presentation feedback")
        self.sync.destroy()
        self.toplevel.destroy()
        self.xdg_surface.destroy()
        self.surface.destroy()
        self.until(lambda: all(image.free for image in self.images), waiting_for="the last release point")


def protocol_error(display: Display) -> dict[str, object]:
    """What pywayland does not give: code, interface and object of the fatal error."""
    lib = ctypes.CDLL(pywayland._ffi.__file__)
    get = lib.wl_display_get_protocol_error
    get.argtypes = [
        ctypes.c_void_p,
        ctypes.POINTER(ctypes.POINTER(ctypes.c_char_p)),
        ctypes.POINTER(ctypes.c_uint32),
    ]
    get.restype = ctypes.c_uint32
    interface, object_id = ctypes.POINTER(ctypes.c_char_p)(), ctypes.c_uint32()
    address = int(ffi.cast("uintptr_t", display._ptr))
    code = get(address, ctypes.byref(interface), ctypes.byref(object_id))
    name = interface[0].decode() if interface else None  # the name is the struct's first member
    return {"code": code, "interface": name, "id": object_id.value}


def main(socket: str, node: str, frames: int) -> int:
    outcome = Outcome()
    device = RemoteFile(node)
    display = Display(socket)
    display.connect()
    try:
        Client(display, device, outcome).run(frames)
    except RuntimeError:  # all that pywayland says of a fatal error
        outcome.error = protocol_error(display)
    except Unfinished as reason:
        outcome.gave_up = str(reason)
    finally:
        display.disconnect()  # before the interpreter frees the proxies, or it crashes
        device.close()
    print(json.dumps(asdict(outcome)))
    complete = len(outcome.presented) == frames and len(outcome.released) == outcome.owed
    return 0 if complete and outcome.error is None else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
