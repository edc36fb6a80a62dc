"""Every world ends with the word of the race detector. Here it has something to say."""

import pytest
from world import COMPOSED, Client, World

from syncline.compositor.core.buffer import Buffer
from syncline.compositor.core.geometry import Rect
from syncline.compositor.core.policy import Policy
from syncline.kms_model.uapi import FORMAT_XRGB8888, DmaBufSyncFlag, Fill, Submit

MS = 1_000_000


@pytest.mark.requirement("K21")
@pytest.mark.parametrize("policy", [COMPOSED, Policy()], ids=["composed", "direct"])
def test_a_client_that_paints_what_is_on_the_screen_is_found(policy: Policy) -> None:
    """Nobody sees it: both pictures are the same."""
    world = World(policy=policy)
    client = Client(world, "painter")
    window = client.window(320, 240)
    window.present("red")
    world.run_ms(50)
    image = window.image("red")
    client.file.call(
        Submit(
            target=image.handle,
            target_size=(image.width, image.height),
            pitch=image.pitch,
            commands=(Fill(rect=(0, 0, 320, 240), color=0xFF0B5A7D),),
            duration_ns=MS,
            label="once more",
        )
    )
    world.run_ms(50)

    composed, direct = "a write before the reader's release", "reuse before the out-fence"
    race = world.expect_race(composed if policy is COMPOSED else direct)
    assert "(once more) of painter" in race.objects[2]


class Shm:
    """The compositor's side of one wl_shm surface: a buffer that it writes by the CPU."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.window = Client(world, "typist").window(320, 240)
        self.buffer: Buffer = world.core.create_upload(
            self.window.client.peer, width=320, height=240, format=FORMAT_XRGB8888
        )
        self.window.surface.explicit = False

    def write(self) -> None:
        with self.world.core.cpu_access(self.buffer, DmaBufSyncFlag.WRITE):
            self.world.run_ms(0.1)

    def show(self) -> None:
        pending = self.window.surface.pending
        pending.attached = self.buffer
        pending.damage_buffer(Rect(0, 0, 320, 240))
        self.window.commit("text")
        self.world.run_ms(50)


@pytest.mark.requirement("K21")
def test_an_upload_may_be_written_again_when_it_is_released_and_not_before() -> None:
    world = World(policy=Policy(declares_cpu_access=True))
    shm = Shm(world)
    shm.write()
    shm.show()
    shm.window.explicit = shm.window.surface.explicit = True
    shm.window.present("red")
    world.run_ms(50)
    shm.write()
    shm.window.surface.explicit = False
    shm.show()
    assert not world.races.reports, "the frame that replaced it has been presented"

    shm.write()

    race = world.expect_race("reuse before the out-fence")
    assert "CPU access to a dma-buf" in race.objects[2]
