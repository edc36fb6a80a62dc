"""The same clients over both wires: the same objects, messages and KMS commits, at the same instants."""

import asyncio
import re
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
from messages import message_pair

from syncline.clients.catalogue import DEMOS, POLITE, run_demo
from syncline.clients.toolkit.loop import Context
from syncline.clients.toolkit.options import Options
from syncline.clients.toolkit.report import ClientEvent
from syncline.compositor.core.policy import Policy
from syncline.compositor.core.report import ReportEvent
from syncline.compositor.loop import Driver
from syncline.kms_model.command import with_outputs
from syncline.kms_model.device import Device
from syncline.kms_model.kernel import Kernel
from syncline.kms_model.local import LocalFile, LocalNode
from syncline.kms_model.loops import VirtualLoop, run_virtual
from syncline.kms_model.profiles import SYNCLINE
from syncline.kms_model.uapi import ModeAtomic, Request
from syncline.protocol.trace import Said, line
from syncline.protocol.transport import Transport
from syncline.protocol.transport.memory import pair
from syncline.protocol.wire import Wire
from syncline.protocol.wire.msgpack import MsgpackWire

R = TypeVar("R")


@dataclass
class Account:
    """What happened."""

    messages: list[str] = field(default_factory=list)
    commits: list[tuple[int, Request[Any]]] = field(default_factory=list)
    reports: list[ReportEvent] = field(default_factory=list)
    clients: list[ClientEvent] = field(default_factory=list)


class OverheardFile(LocalFile):
    """The compositor's open of the device."""

    account: Account

    def call(self, request: Request[R]) -> R:
        if isinstance(request, ModeAtomic):
            self.account.commits.append((self._node.loop.now_ns(), _without_fds(request)))
        return super().call(request)


def _without_fds(request: ModeAtomic) -> Request[Any]:
    """A descriptor's number is the one thing that may differ."""
    small = [(obj, prop, value) for obj, prop, value in request.props if prop != FENCE_PROPERTY]
    return ModeAtomic(flags=request.flags, props=tuple(small), user_data=request.user_data)


FENCE_PROPERTY = Device(SYNCLINE).kms.display.catalogue.in_fence_fd.id


def perform(cast: list[str], *, over_messages: bool) -> Account:
    async def main(loop: VirtualLoop) -> Account:
        account = Account()
        profile = with_outputs(SYNCLINE, ["640x480@60"])
        node = LocalNode(Device(profile, kernel=Kernel(now_ns=loop.now_ns())), loop)
        file = OverheardFile(node, node.open().file)
        file.account = account

        def overhear(said: Said) -> None:
            account.messages.append(re.sub(r"\bfd \d+", "fd", line(said, loop.now_ns())))

        driver = Driver(
            loop, file, policy=Policy(), caps={}, report=account.reports.extend, observer=overhear
        )
        await asyncio.gather(*(act(loop, node, driver, account, demo, over_messages) for demo in cast))
        driver.close()
        file.close()
        node.close()
        node.device.kernel.descriptors.close()
        return account

    return run_virtual(main)


async def act(
    loop: VirtualLoop, node: LocalNode, driver: Driver, account: Account, demo: str, over_messages: bool
) -> None:
    ours: Transport
    wire: Wire | None = None
    if over_messages:
        ours, theirs = message_pair(loop, node)
        driver.server.accept(theirs, wire=MsgpackWire())
        wire = MsgpackWire()
    else:
        ours, plain = pair(loop)
        driver.server.accept(plain)
    device = node.open()
    options = DEMOS[demo].complete(Options(frames=8))
    context = Context(
        loop=loop, transport=ours, device=device, options=options, emit=account.clients.append, wire=wire
    )
    await run_demo(DEMOS[demo], context)
    device.close()


@pytest.mark.requirement("F24", "S2")
def test_user_fences_take_the_words_of_dma_fences() -> None:
    dma, user = (perform([demo], over_messages=False) for demo in ("solid", "userfence"))

    assert [line.replace("userfence", "solid") for line in user.messages] == dma.messages


@pytest.mark.requirement("TRN-01", "TRN-03")
@pytest.mark.parametrize("cast", [[demo] for demo in POLITE] + [list(POLITE)], ids="+".join)
def test_both_wires_tell_the_same_story(cast: list[str]) -> None:
    wayland, messages = (perform(cast, over_messages=each) for each in (False, True))

    assert wayland.messages == messages.messages
    assert wayland.commits == messages.commits
    assert wayland.reports == messages.reports
    assert wayland.clients == messages.clients
    assert len(wayland.messages) > 100
    assert len(wayland.commits) > 8
