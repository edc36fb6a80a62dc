"""Displays for stories."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from display import ASK, Change, Client, World

from syncline.kms_model.profiles import SYNCLINE, Profile
from syncline.kms_model.quirks import UPSTREAM, Quirks
from syncline.kms_model.trace import DropTrace, WaitTrace
from syncline.kms_model.uapi import FlipDropped


class Parked:
    """A commit in PENDING_USER: `fb` for primary0, waiting for point 1 of `fence`, owing point 1 of `out`."""

    def __init__(self, client: Client, *extra: Change, timeout_ns: int = 0) -> None:
        self.client = client
        self.shown = client.light_up()
        self.fb = client.framebuffer()
        self.handle = client.handle
        self.fence, self.out = client.user_fence(), client.user_fence()
        changes = (("primary0", "FB_ID", self.fb), client.waits_for((self.fence, 1)), *extra)
        client.commit(ASK, *changes, client.owes(self.out, 1), user_data=1, timeout_ns=timeout_ns)

    def reach(self) -> None:
        self.client.reach(self.fence)

    def assert_dropped(self, errno: int, *, shown: int = 0) -> None:
        """Its file was told, its point is written, its framebuffer is free, and the screen is as before."""
        client = self.client
        (event,) = client.events()
        now_ns, crtc = client.world.now_ns, client.ids["crtc0"]
        assert event == FlipDropped(1, crtc, -errno, now_ns)
        assert client.slot(self.out) == (1, -errno)
        assert client.shown() == (shown or self.shown,)
        assert not client.parked()
        (drop,) = [each for each in client.world.trace if isinstance(each, DropTrace)]
        assert drop == DropTrace(now_ns, crtc, (self.fb,), -errno, 1)
        waits = [each for each in client.world.trace if isinstance(each, WaitTrace)]
        ends = [each.end for each in waits if each.reason == "user-fence"]
        assert ends.count(True) == ends.count(False), "nobody waits any more"
        self.reach()
        client.world.run_ms(40)
        assert client.events() == []
        assert client.shown() == (shown or self.shown,)


@pytest.fixture
def make_world() -> Iterator[Callable[..., World]]:
    worlds: list[World] = []

    def make(profile: Profile = SYNCLINE, quirks: Quirks = UPSTREAM, **options: Any) -> World:
        worlds.append(World(profile, quirks, **options))
        return worlds[-1]

    yield make
    for world in worlds:
        world.check()
        world.close()


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    return make_world()


@pytest.fixture
def client(world: World) -> Client:
    return Client(world)


@pytest.fixture
def make_client(world: World) -> Callable[..., Client]:
    """Further files on the device of `world`."""
    return lambda **options: Client(world, **options)


@pytest.fixture
def make_lone_client(make_world: Callable[..., World]) -> Callable[..., Client]:
    """The first file on a device of its own, of some profile."""

    def make(profile: Profile = SYNCLINE, quirks: Quirks = UPSTREAM, **options: bool) -> Client:
        return Client(make_world(profile, quirks), **options)

    return make


@pytest.fixture
def parked(client: Client) -> Parked:
    return Parked(client)


@pytest.fixture
def park() -> type[Parked]:
    """For parked commits that want more."""
    return Parked
