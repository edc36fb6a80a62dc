"""The programs of IGT beside the core set that are translated (kernel.md 5.1), and what their subtests have in common.

They run in this process on virtual time. A subtest is a function of a `Client`, whose display is dark when it begins.
"""

from collections.abc import Callable, Iterator, Set as AbstractSet
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from display import Change, Client, World

from syncline.kms_model.checker import Severity
from syncline.kms_model.profiles import SYNCLINE, Profile
from syncline.kms_model.quirks import UPSTREAM
from syncline.kms_model.uapi import (
    AtomicFlag,
    Fill,
    FlipComplete,
    ModePageFlip,
    Submit,
)

Story = Callable[[Client], None]

KMS_COUNTS: Final = {
    "kms_atomic": 10,
    "kms_atomic_transition": 16,
    "kms_busy": 9,
    "kms_flip": 20,
    "kms_writeback": 4,
    "kms_async_flips": 7,
    "kms_vrr": 3,
    "prime_vgem": 2,
    "kms_atomic_interruptible": 2,
    "vgem_basic": 4,
}
"""How many subtests of each program are translated: 71 of atomic commits, and 6 of waits and fences around them."""

MS: Final = 1_000_000
ASK: Final = AtomicFlag.NONBLOCK | AtomicFlag.PAGE_FLIP_EVENT
HANG_NS: Final = 3_600_000_000_000
"""A job of an hour. The scheduler's watchdog takes five seconds to end it."""


def _kms_set() -> dict[str, set[str]]:
    programs: dict[str, set[str]] = {name: set() for name in KMS_COUNTS}
    for line in Path(__file__).with_name("kms_set.txt").read_text().splitlines():
        if not line.startswith("#"):
            program, subtest = line.split()
            assert subtest not in programs[program]
            programs[program].add(subtest)
    return programs


KMS_SET: Final = _kms_set()


class KmsProgram:
    """The subtests of one program, as they are written down."""

    def __init__(self, name: str, profile: Profile = SYNCLINE, **options: bool) -> None:
        self.name = name
        self.stories: dict[str, Story] = {}
        self._profile = profile
        self._options = options
        self._told: dict[str, set[tuple[str, Severity]]] = {}

    def subtest(
        self, name: str, *others: str, front_buffer: bool = False, waits_for_locks: bool = False
    ) -> Callable[[Story], Story]:
        """One story, under each of the names that are the same here.

        `front_buffer`: paints what is on the screen (K21). `waits_for_locks`: in calls that else do not sleep (K13).
        """
        told = {("K21", Severity.ERROR)} if front_buffer else set()
        told |= {("K13", Severity.INFO)} if waits_for_locks else set()

        def enter(story: Story) -> Story:
            for each in (name, *others):
                assert each not in self.stories, f"{self.name} has a second {each}"
                self.stories[each] = story
                self._told[each] = told
            return story

        return enter

    def variants(self, options: dict[str, dict[str, Any]]) -> Callable[[Callable[..., None]], None]:
        """One story with other options under each name."""

        def enter(story: Callable[..., None]) -> None:
            for name, given in options.items():
                self.subtest(name)(lambda client, given=given: story(client, **given))  # type: ignore[misc]

        return enter

    def run(self, name: str) -> None:
        with self.display(self._told[name]) as client:
            self.stories[name](client)

    @contextmanager
    def display(self, told: AbstractSet[tuple[str, Severity]] = frozenset()) -> Iterator[Client]:
        world = World(self._profile, UPSTREAM)
        world.may_race = ("K21", Severity.ERROR) in told
        yield Client(world, **self._options)
        world.check()
        world.run_ms(10_000)  # jobs that hang come to their end
        world.close()
        verdict = world.ledger.verdict()
        assert verdict - {("K2", Severity.WARN)} == told, "sw_sync promises nothing, and all else holds"

    def assert_complete(self) -> None:
        """Every translated subtest of IGT, none that it has not, and as many as the spec counts."""
        assert set(self.stories) == KMS_SET[self.name]
        assert len(self.stories) == KMS_COUNTS[self.name]


def flip(client: Client, fb: int, user_data: int = 0, *, tear: bool = False) -> None:
    """drmModePageFlip with an event."""
    flags = AtomicFlag.PAGE_FLIP_EVENT | (AtomicFlag.PAGE_FLIP_ASYNC if tear else 0)
    client.call(ModePageFlip(client.ids["crtc0"], fb, int(flags), user_data))


def flip_errno(client: Client, fb: int) -> int:
    return client.errno(ModePageFlip(client.ids["crtc0"], fb, int(AtomicFlag.PAGE_FLIP_EVENT)))


def next_flip(client: Client) -> FlipComplete:
    """Let time pass until the flip's event can be read: one, and no other."""
    while not client.file.has_events:
        next_ns = client.world.device.next_deadline_ns()
        assert next_ns is not None, "the flip will never come"
        client.world.device.advance(next_ns)
    (event,) = client.events()
    assert isinstance(event, FlipComplete)
    return event


def render(client: Client, handle: int, duration_ns: int) -> None:
    """Keep a buffer busy with a job that writes it (igt_spin)."""
    width, height = client.mode.hdisplay, client.mode.vdisplay
    pitch = client.file.gems.get(handle).size // height  # type: ignore[union-attr]
    paint = Fill((0, 0, width, height), 0)
    client.call(Submit(handle, (width, height), pitch, (paint,), duration_ns, implicit=True))


def picture(client: Client) -> tuple[int, int]:
    """A framebuffer of the size of the screen, and the handle of its buffer."""
    fb = client.framebuffer()
    return fb, client.handle


def show(fb: int) -> Change:
    return "primary0", "FB_ID", fb


def off_and_on(client: Client, *, on: bool, flags: int = 0) -> None:
    """DPMS."""
    client.commit(AtomicFlag.ALLOW_MODESET | flags, ("crtc0", "ACTIVE", int(on)))
