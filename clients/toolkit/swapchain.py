"""Images that go round: painted by us, lent to the compositor with a commit, given back, painted again."""

from collections import deque
from types import TracebackType
from typing import ClassVar, Final, Generic, Protocol, Self, TypeVar

from syncline.clients.toolkit.display import Display
from syncline.clients.toolkit.loan import Loan
from syncline.clients.toolkit.loop import ClientError
from syncline.clients.toolkit.options import Size
from syncline.kms_model.loops import NS_PER_S
from syncline.protocol.object import Proxy

# Once the surface is gone nothing new reads an image, so what is owed comes within a flip and the jobs
# still queued. Two seconds are 120 refreshes of a 60 Hz display; longer jobs are added to it.
RELEASE_PATIENCE_NS: Final = 2 * NS_PER_S


class Image(Protocol):
    """One image of a swapchain. `needs` are the globals it is made with."""

    needs: ClassVar[tuple[type[Proxy], ...]]
    size: Size
    loan: Loan

    def __init__(self, display: Display, *, index: int, size: Size) -> None: ...

    def resize(self, size: Size) -> None:
        """Only while it is not lent."""
        ...

    def destroy(self) -> None: ...


ImageT = TypeVar("ImageT", bound=Image)


class Swapchain(Generic[ImageT]):
    """`Swapchain(display, ExplicitImage)`. Leaving it waits for what the compositor still owes."""

    def __init__(self, display: Display, kind: type[ImageT]) -> None:
        buffers = display.context.options.buffers
        assert buffers is not None, "the catalogue fills in the demo's default"
        self._display = display
        self._context = display.context
        self._kind = kind
        self._images_max = buffers
        self._images: deque[ImageT] = deque()  # the one that has been with us the longest first
        self._patience_ns = RELEASE_PATIENCE_NS + buffers * display.context.options.gpu_ns

    async def __aenter__(self) -> Self:
        for each in self._kind.needs:
            self._display.bind(each)
        await self._display.roundtrip()  # what they announce about themselves
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        missing = [] if self._context.failed else await self._collect()
        for image in self._images:
            image.destroy()
        if missing:
            raise ClientError(
                f"the compositor still holds {len(missing)} of our images, {self._patience_ns / 1e9} s on"
            )

    async def next_image(self, size: Size) -> ImageT:
        """The image that has been back the longest, in that size; waits until there is one."""
        if len(self._images) < self._images_max:
            self._images.append(self._kind(self._display, index=len(self._images), size=size))
        await self._context.until(lambda: any(not each.loan.out for each in self._images))
        image = next(each for each in self._images if not each.loan.out)
        self._images.remove(image)
        self._images.append(image)
        if image.size != size:
            image.resize(size)
        return image

    async def _collect(self) -> list[ImageT]:
        """Wait for the images that are out; returns those that did not come back in time."""
        deadline_ns = self._context.now_ns() + self._patience_ns
        await self._context.until(lambda: not self._out(), deadline_ns=deadline_ns, ending=True)
        return self._out()

    def _out(self) -> list[ImageT]:
        return [each for each in self._images if each.loan.out]
