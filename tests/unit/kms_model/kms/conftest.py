"""Displays for stories."""

from collections.abc import Callable, Iterator

import pytest
from display import Client, Parked, World

from syncline.kms_model.profiles import SYNCLINE, Profile
from syncline.kms_model.quirks import UPSTREAM, Quirks


@pytest.fixture
def make_world() -> Iterator[Callable[..., World]]:
    worlds: list[World] = []

    def make(profile: Profile = SYNCLINE, quirks: Quirks = UPSTREAM) -> World:
        worlds.append(World(profile, quirks))
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
