"""Everything in this process on virtual time: a device, a compositor on it, and clients that come and go."""

import asyncio
import os
from collections.abc import Callable, Sequence
from typing import Final

from syncline.clients.catalogue import Demo, run_demo
from syncline.clients.toolkit.loop import ClientError, Context
from syncline.clients.toolkit.options import Options, Wire
from syncline.clients.toolkit.report import Emit, ignore
from syncline.compositor.core.policy import Policy
from syncline.compositor.core.report import ReportEvent
from syncline.compositor.loop import Driver
from syncline.kms_model.checker import Policy as Findings
from syncline.kms_model.checker.watch import watch_buffers
from syncline.kms_model.device import Device
from syncline.kms_model.kernel import Kernel
from syncline.kms_model.local import LocalNode
from syncline.kms_model.loops import NS_PER_S, VirtualLoop, sleep_until
from syncline.kms_model.profiles import Profile
from syncline.kms_model.trace import TraceEvent
from syncline.kms_model.uapi import DeviceError
from syncline.protocol.transport import Transport
from syncline.protocol.transport.memory import pair
from syncline.protocol.wire.msgpack import MsgpackWire

LIGHTING_NS: Final = NS_PER_S // 10
"""The screens have had their first frame by then; no process starts faster."""


class House:
    """`light` it before anybody enters; `close` it when all have left."""

    def __init__(
        self,
        loop: VirtualLoop,
        *,
        profile: Profile,
        policy: Policy,
        hear_device: Callable[[TraceEvent], None],
        hear_compositor: Callable[[Sequence[ReportEvent]], None],
    ) -> None:
        self.loop = loop
        kernel = Kernel(now_ns=loop.now_ns(), trace=hear_device)
        watch_buffers(kernel, Findings.COLLECT, say=lambda _: None)  # the trace has them, too
        self.node = LocalNode(Device(profile, kernel=kernel), loop)
        self._file = self.node.open()
        self._file.file.label = "compositor"
        self._driver = Driver(loop, self._file, policy=policy, caps={}, report=hear_compositor)

    async def light(self) -> None:
        """Until every screen has had its first frame."""
        await sleep_until(self.loop, self.loop.now_ns() + LIGHTING_NS)

    def connect(self, wire: Wire = Wire.WAYLAND) -> Transport:
        """In one process either wire travels in memory."""
        ours, theirs = pair(self.loop)
        self._driver.server.accept(theirs, wire=MsgpackWire() if wire is Wire.ZMQ else None)
        return ours

    def close(self) -> None:
        """The whole machine goes with us."""
        self._driver.close()
        self._file.close()
        self.node.close()
        self.node.device.kernel.descriptors.close()


class Guest:
    """One client, from its entrance to `leave`. `options` may leave the demo's defaults out."""

    def __init__(self, house: House, demo: Demo, options: Options, emit: Emit = ignore) -> None:
        self._demo = demo
        self._file = house.node.open()
        self._file.file.label = options.title or demo.name
        self._context = Context(
            loop=house.loop,
            transport=house.connect(options.wire),
            wire=MsgpackWire() if options.wire is Wire.ZMQ else None,
            device=self._file if demo.needs_device else None,
            options=demo.complete(options),
            emit=emit,
        )
        self._task = asyncio.create_task(run_demo(demo, self._context))

    async def leave(self, reason: str) -> str:
        """What went wrong with it, as one sentence; nothing if nothing did."""
        self._context.stop(reason)
        try:
            await self._task
        except ClientError as error:
            return str(error)
        except DeviceError as refusal:
            return f"the device refused: {os.strerror(refusal.errno)} ({refusal.why})"
        finally:
            self._file.close()
        return ""
