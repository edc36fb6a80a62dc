"""Composition: painting an output's scene on the GPU, only where it changed.

Each output has a swapchain of three images. An image that was painted n frames ago lacks the damage of
the n frames since, and only that is painted.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from syncline.compositor.core.buffer import Buffer, Memory, Origin
from syncline.compositor.core.geometry import Rect, Region
from syncline.compositor.core.loan import Loan
from syncline.compositor.core.policy import Policy
from syncline.compositor.core.scene import Element
from syncline.kms_model.uapi import (
    FORMAT_XRGB8888,
    Blit,
    Command,
    DeviceFile,
    Fd,
    Fill,
    Point,
    Priority,
    Submit,
    SyncobjCreate,
    SyncobjDestroy,
)

IMAGES: Final = 3
"""One on screen, one in the flip, one to paint."""


@dataclass(eq=False, slots=True)
class Image:
    """One buffer of the swapchain. `painted` is the number of the composition it holds, 0 for none."""

    buffer: Buffer
    painted: int = 0
    in_use: int = 0
    """Frames that show it: on screen and in flight."""


@dataclass(frozen=True, slots=True)
class Painted:
    """A submitted composition job. `fence` is a sync_file that the receiver closes."""

    image: Image
    point: int
    fence: Fd
    read: tuple[Loan, ...]


def paint(elements: list[Element], damage: Region, *, screen: Rect, background: int) -> tuple[Command, ...]:
    """Draw the elements bottom to top, inside the damage, each pixel only where it can be seen."""
    empty = Region((screen,))
    for element in elements:
        if element.is_opaque:
            empty.subtract(element.place)
    commands: list[Command] = [Fill(rect=rect, color=background) for rect in empty.common_with(damage)]
    for element in elements:
        clip = tuple(element.visible.common_with(damage))
        if clip:
            commands.extend(_draw(element, clip))
    return tuple(commands)


def _draw(element: Element, clip: tuple[Rect, ...]) -> Iterable[Command]:
    buffer = element.loan.buffer
    if buffer.origin is Origin.COLOR and not buffer.handle:
        return (Fill(rect=rect, color=buffer.color) for rect in clip)
    blit = Blit(
        source=buffer.handle, source_size=(buffer.width, buffer.height), pitch=buffer.pitch,
        offset=buffer.offset, src=element.extent.source, dst=element.place, clip=clip,
        blend=not element.is_opaque, transform=element.extent.transform,
    )  # fmt: skip
    return (blit,)


def in_points(loans: Iterable[Loan]) -> tuple[Point, ...]:
    """What the job has to wait for: acquire points that were accepted before they signalled."""
    points = [loan.acquire for loan in loans if loan.forwarded and loan.acquire is not None]
    return tuple(Point(handle=point.timeline.handle, point=point.value) for point in points)


def duration_ns(policy: Policy, commands: tuple[Command, ...]) -> int:
    """Engine time that the job is worth, by the pixels it touches."""
    pixels = 0
    for command in commands:
        if isinstance(command, Fill):
            pixels += command.rect[2] * command.rect[3]
        elif isinstance(command, Blit):
            pixels += sum(width * height for _, _, width, height in command.clip)
    return policy.composition_fixed_ns + policy.composition_kilopixel_ns * pixels // 1000


class Swapchain:
    """The composition images of one output, and the timeline their jobs signal."""

    def __init__(
        self, device: DeviceFile, memory: Memory, policy: Policy, *, width: int, height: int
    ) -> None:
        self._device = device
        self._memory = memory
        self._policy = policy
        self._screen = Rect(0, 0, width, height)
        self.timeline = device.call(SyncobjCreate()).handle
        self.images = [
            Image(memory.allocate(Origin.SCREEN, width=width, height=height, format=FORMAT_XRGB8888))
            for _ in range(IMAGES)
        ]
        self.newest = self.images[0]
        """The image composed last."""
        self._damages: deque[Region] = deque(maxlen=IMAGES)
        self._count = 0

    def compose(self, elements: list[Element], damage: Region, *, implicit: bool, label: str) -> Painted:
        """Submit the job that brings a free image up to date. Raises DeviceError; then nothing happened."""
        image = min((image for image in self.images if not image.in_use), key=lambda image: -image.painted)
        damages = deque([*self._damages, damage.copy()], maxlen=IMAGES)
        count = self._count + 1
        commands = paint(
            elements, self._missing(image, damages, count), screen=self._screen,
            background=self._policy.background,
        )  # fmt: skip
        blitted = {command.source for command in commands if isinstance(command, Blit)}
        read = tuple(element.loan for element in elements if element.loan.buffer.handle in blitted)
        buffer = image.buffer
        reply = self._device.call(
            Submit(
                target=buffer.handle, target_size=(buffer.width, buffer.height), pitch=buffer.pitch,
                commands=commands, duration_ns=duration_ns(self._policy, commands),
                in_points=in_points(read), out_points=(Point(handle=self.timeline, point=count),),
                out_fence=True, implicit=implicit, priority=Priority.HIGH, label=label,
            )
        )  # fmt: skip
        self._damages, self._count, self.newest = damages, count, image
        image.painted = count
        return Painted(image, count, reply.out_fence, read)

    def _missing(self, image: Image, damages: deque[Region], count: int) -> Region:
        """The damage of all compositions since the image was painted; everything if that is forgotten."""
        behind = count - image.painted
        if not image.painted or behind > len(damages):
            return Region((self._screen,))
        missing = Region()
        for damage in list(damages)[-behind:]:
            missing.add_all(damage)
        missing.simplify()
        return missing

    def close(self) -> None:
        for image in self.images:
            image.buffer.framebuffer = (
                None  # one is on screen: removing that sleeps, and the file's end does it
            )
            self._memory.free(image.buffer)
        self._device.call(SyncobjDestroy(handle=self.timeline))

    def check_invariants(self) -> None:
        assert all(0 <= image.in_use <= 2 for image in self.images)
        assert sum(not image.in_use for image in self.images) >= 1
