"""The journey of one frame, told twice: through composition and by direct scanout."""

from textwrap import dedent

import pytest
from world import COMPOSED, Client, World

from syncline.compositor.core.effects import Presented
from syncline.compositor.core.policy import Policy
from syncline.protocol.enums import WpPresentationFeedback

DIRECT = Policy()


@pytest.mark.requirement("S70")
def test_a_composed_image_is_given_back_as_soon_as_its_successor_is_ready() -> None:
    world = World(policy=COMPOSED)
    window = Client(world, "client").window()

    window.present("red", gpu_ms=5)
    world.run_until_ms(20)
    window.present("blue", gpu_ms=8)
    world.run_until_ms(40)

    assert world.story() == dedent("""\
         0.0 ms  client  commits red
         5.0 ms  gpu     finishes client's red
        12.7 ms  core    latches Virtual-1, composed
        12.8 ms  gpu     finishes Virtual-1 frame 2
        16.7 ms  display shows frame 2
        16.7 ms  client  hears presented for red
        16.7 ms  client  hears frame done for red
        20.0 ms  client  commits blue
        28.0 ms  gpu     finishes client's blue
        28.0 ms  core    gives red back by signal
        29.3 ms  core    latches Virtual-1, composed
        29.4 ms  gpu     finishes Virtual-1 frame 3
        33.3 ms  display shows frame 3
        33.3 ms  client  hears presented for blue
        33.3 ms  client  hears frame done for blue""")


@pytest.mark.requirement("S71")
def test_a_scanned_out_image_is_given_back_by_the_fence_of_the_flip_that_replaces_it() -> None:
    world = World(policy=DIRECT)
    window = Client(world, "client").window(320, 240)

    window.present("red", gpu_ms=5)
    world.run_until_ms(20)
    window.present("blue", gpu_ms=8)
    world.run_until_ms(32)
    red = window.image("red")
    assert not red.released(), "red is on screen until the flip at 33.3 ms"
    world.run_until_ms(40)

    assert red.released() == 1
    assert world.story() == dedent("""\
         0.0 ms  client  commits red
         5.0 ms  gpu     finishes client's red
        12.7 ms  core    latches Virtual-1, direct
        16.7 ms  display shows frame 2
        16.7 ms  client  hears presented for red
        16.7 ms  client  hears frame done for red
        20.0 ms  client  commits blue
        28.0 ms  gpu     finishes client's blue
        29.3 ms  core    gives red back by fence
        29.3 ms  core    latches Virtual-1, direct
        33.3 ms  display shows frame 3
        33.3 ms  client  hears presented for blue
        33.3 ms  client  hears frame done for blue""")
    flags = world.told(Presented)[-1].flags
    assert flags == sum(WpPresentationFeedback.Kind), "the client's own buffer was on the plane (P10)"
