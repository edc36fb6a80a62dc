"""One seat: where the pointer is, who has the focus, and the cursor image."""

from syncline.compositor.core.surface import Client, Surface


class Seat:
    """Reached as `Compositor.seat`."""

    def move_pointer(self, *, x: int, y: int, now_ns: int) -> None:
        """The pointer is at global pixel (x, y)."""
        raise NotImplementedError

    def press(self, *, button: int, pressed: bool, now_ns: int) -> None:
        """A button changes; pressing raises and focuses the window below the pointer."""
        raise NotImplementedError

    def set_cursor(
        self, client: Client, surface: Surface | None, *, hotspot: tuple[int, int], now_ns: int
    ) -> None:
        """wl_pointer.set_cursor. Ignored unless `client` has the pointer focus. Raises WlPointerError.ROLE."""
        raise NotImplementedError
