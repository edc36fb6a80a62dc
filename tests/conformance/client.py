"""One connection to the compositor under test: binding, asking, and judging its errors by the wire."""

import os
import tempfile
from collections.abc import Callable, Collection
from typing import Final, Protocol

from syncline.conformance.device import Image, Timeline
from syncline.conformance.thing import Thing, thing
from syncline.conformance.verdict import Failure, Skip
from syncline.protocol import schema
from syncline.protocol.display import Display, Registry
from syncline.protocol.errors import ProtocolError
from syncline.protocol.object import NewId, Object
from syncline.protocol.trace import Said
from syncline.protocol.transport import Transport
from syncline.protocol.wire import Wire

NS_PER_MS: Final = 1_000_000
ERROR_WAIT_NS: Final = 500 * NS_PER_MS
"""After the compositor has answered a sync: how long a verdict may still take."""
ANSWER_NS: Final = 5_000 * NS_PER_MS
XRGB8888: Final = 0x34325258
SHM_XRGB8888: Final = 1


class World(Protocol):
    """What a client needs of its trial."""

    def now_ns(self) -> int: ...

    def beat(self) -> None: ...

    def until(self, condition: Callable[[], bool], *, within_ns: int = ...) -> bool: ...

    def overhear(self, said: Said) -> None: ...


class Client:
    """`error` is what the compositor said was wrong; `gone` is why the connection ended."""

    def __init__(self, world: World, transport: Transport, *, wire: Wire | None, name: str) -> None:
        self.world = world
        self.name = name
        self.display = Display.connect(wire=wire, name=name, observer=world.overhear)
        self.connection = self.display.connection
        self.registry = self.display.get_registry(Registry)
        self.gone = ""
        self.forgiven = False
        self._bound: dict[str, Thing] = {}
        self._transport = transport
        self._is_closed = False
        transport.start(self._receive, self._lose)

    # The line.

    def _receive(self, data: bytes, fds: list[int]) -> None:
        self.connection.receive(data, fds)
        self.world.beat()

    def _lose(self, reason: str) -> None:
        self.gone = reason
        self.world.beat()

    def flush(self) -> None:
        if not self._is_closed and not self.gone:
            self._transport.write(self.connection.take_output())

    def stop_reading(self) -> None:
        """Leave what comes where it is."""
        self._transport.pause()

    def read_again(self) -> None:
        self._transport.resume()

    def close(self) -> None:
        """Hang up."""
        if self._is_closed:
            return
        self.flush()
        self._is_closed = True
        if not self.gone:
            self._transport.close()
        self.connection.hang_up()

    @property
    def error(self) -> ProtocolError | None:
        return self.connection.error

    @property
    def is_over(self) -> bool:
        """Thrown out, or hung up on, and nobody expected it."""
        return not self.forgiven and not self._is_closed and (self.error is not None or bool(self.gone))

    @property
    def end(self) -> str:
        """How it ended, in words."""
        if self.error is not None:
            return f"{self.name} got {_spelt(self.error.interface, self.error.object_id, self.error.code)}"
        return f"{self.name} was hung up on without an error ({self.gone})"

    # Asking.

    def get_acquainted(self) -> None:
        """Know the globals. Raises Failure."""
        self.roundtrip()

    def roundtrip(self) -> None:
        """Until the compositor has read everything said so far. Raises Failure."""
        answers: list[int] = []
        self.display.sync(answers.append)
        self.world.until(lambda: bool(answers) or self.is_over, within_ns=ANSWER_NS)
        if self.is_over:
            raise Failure(self.end)
        if not answers:
            raise Failure(f"no answer to wl_display.sync in {ANSWER_NS // NS_PER_MS} ms")

    def offers(self, interface: str, version: int = 1) -> bool:
        return dict(self.registry.globals.values()).get(interface, 0) >= version

    def bind(self, interface: str, *, version: int | None = None, again: bool = False) -> Thing:
        """The global of that interface; another binding of it with `again`. Raises Skip."""
        if not again and version is None and interface in self._bound:
            return self._bound[interface]
        name, offered = self._find(interface)
        bound = self._bind(name, interface, min(version or offered, offered))
        if interface == "xdg_wm_base":
            bound.hooks["ping"] = lambda serial: bound.send("pong", serial)
        if not again and version is None:
            self._bound[interface] = bound
        return bound

    def bind_all(self, interface: str) -> list[Thing]:
        """Every global of that interface, such as outputs."""
        offers = sorted(self.registry.globals.items())
        return [
            self._bind(name, offered, version) for name, (offered, version) in offers if offered == interface
        ]

    def _bind(self, name: int, interface: str, version: int) -> Thing:
        kind = thing(interface)
        return self.registry.bind(
            name,
            lambda new: kind(new, self.world.now_ns),
            interface=interface,
            version=min(version, kind.up_to),
        )

    def _find(self, interface: str) -> tuple[int, int]:
        for name, (offered, version) in self.registry.globals.items():
            if offered == interface:
                return name, version
        raise Skip(interface)

    def new_id(self, interface: str, number: int) -> NewId:
        """A number for a new object that need not be free: only the compositor is asked."""
        return NewId(self.connection, id=number, interface=interface, version=1)

    def pretend(self, interface: str, number: int) -> Thing:
        """Our end of an object that the compositor has never heard of."""
        return thing(interface)(self.new_id(interface, number), self.world.now_ns)

    # Things to show.

    def surface(self) -> Thing:
        """A wl_surface without a role."""
        return self.bind("wl_compositor").make("create_surface")

    def sync_surface(self, surface: Thing) -> Thing:
        return self.bind("wp_linux_drm_syncobj_manager_v1").make("get_surface", surface)

    def timeline(self, syncobj: Timeline, *, manager: Thing | None = None) -> Thing:
        """An import of the syncobj."""
        fd = syncobj.export()
        made = (manager or self.bind("wp_linux_drm_syncobj_manager_v1")).make("import_timeline", fd)
        os.close(fd)
        return made

    def buffer(self, image: Image, *, version: int | None = None) -> Thing:
        """A wl_buffer of a dma-buf, by create_immed."""
        dmabuf = self.bind("zwp_linux_dmabuf_v1", version=version)
        params = dmabuf.make("create_params")
        params.send("add", image.fd, 0, 0, image.pitch, 0)
        made = params.make("create_immed", image.width, image.height, XRGB8888, 0)
        params.send("destroy")
        return made

    def shm_buffer(self, width: int = 64, height: int = 64, pixels: bytes = b"") -> Thing:
        """A wl_buffer in shared memory, XRGB; grey unless there are pixels for it."""
        size = width * height * 4
        with tempfile.TemporaryFile() as file:
            file.write(pixels or b"\x80" * size)
            file.flush()
            pool = self.bind("wl_shm").make("create_pool", file.fileno(), size)
        made = pool.make("create_buffer", 0, width, height, width * 4, SHM_XRGB8888)
        pool.send("destroy")
        return made

    # Judging.

    def expect_error(self, culprit: Object, *names: str) -> str:
        """The compositor has to throw us out with one of these errors of that object. Raises Failure."""
        answers: list[int] = []
        self.display.sync(answers.append)
        self.world.until(lambda: bool(answers) or self.is_over, within_ns=ANSWER_NS)
        self.world.until(lambda: self.is_over, within_ns=ERROR_WAIT_NS)
        codes = [_code(culprit.interface, each) for each in names]
        expected = f"{' or '.join(names)} on {culprit!r}"
        if not self.is_over:
            raise Failure(f"no error in {ERROR_WAIT_NS // NS_PER_MS} ms; expected {expected}")
        self.forgiven = True
        error = self.error
        if error is None or error.object_id != culprit.id or error.code not in codes:
            raise Failure(f"{self.end}; expected {expected}")
        return f"error {_spelt(error.interface, error.object_id, error.code)}"

    def expect_any_error(self, acceptable: Collection[tuple[Object, str]]) -> str:
        """The same with errors of several objects. Raises Failure."""
        self.world.until(lambda: self.is_over, within_ns=ANSWER_NS)
        self.forgiven = True
        right = {(culprit.id, _code(culprit.interface, name)) for culprit, name in acceptable}
        error = self.error
        if error is None or (error.object_id, error.code) not in right:
            wanted = " or ".join(f"{name} on {culprit!r}" for culprit, name in acceptable)
            raise Failure(f"{self.end if self.is_over else 'no error'}; expected {wanted}")
        return f"error {_spelt(error.interface, error.object_id, error.code)}"


def _code(interface: str, name: str) -> int:
    return int(schema.interface(interface).enums["error"][name])


def _spelt(interface: str, object_id: int, code: int) -> str:
    """`no_buffer (3) on wp_linux_drm_syncobj_surface_v1#7`."""
    enums = schema.interface(interface).enums if interface else {}
    errors = enums.get("error")
    name = next((each.name for each in errors or () if each.value == code), None)
    return f"{name or 'an error unknown to it'} ({code}) on {interface or 'object'}#{object_id}"
