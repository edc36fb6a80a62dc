"""kms_atomic_interruptible: calls behind a commit that waits for a fence end with a signal, and when made again get through."""

from igt.kms import KmsProgram, next_flip

from syncline.kms_model.task import ERESTARTSYS
from syncline.kms_model.uapi import AtomicFlag as Flag, DeviceError, ModePageFlip

program = KmsProgram("kms_atomic_interruptible")

SIGNALS = 20
"""As many arrive before the fence signals; between them, some time passes."""


def test_subtest(subtest):
    program.run(subtest)


def test_every_subtest_is_here():
    program.assert_complete()


def blocked(client, *changes):
    """Another thread's blocking commit of `changes`, which sleeps with their locks until the timeline moves."""
    timeline = client.timeline()
    fenced = ("primary0", "IN_FENCE_FD", client.fence(timeline))
    block = client.start_commit(Flag.ALLOW_MODESET, *changes, fenced)
    assert not block.done
    return block, timeline


def made_again_until_it_is_through(client, request, timeline):
    """As igt_while_interruptible: every signal ends the call, which is made again."""
    for _ in range(SIGNALS):
        call = client.start(request)
        client.world.run_ms(50)
        assert not call.done
        call.interrupt()
        assert errno_of(call) == ERESTARTSYS
    call = client.start(request)
    client.signal(timeline)
    client.world.run_until_done(call)


def errno_of(call):
    try:
        call.result()
    except DeviceError as refusal:
        return refusal.errno
    return 0


@program.subtest("atomic-setmode")
def atomic_setmode(client):
    """The display is being switched off, and that waits."""
    fb = client.light_up()
    block, timeline = blocked(client, *client.off(0)[:3], ("primary0", "FB_ID", client.framebuffer()))
    request = client.request(Flag.ALLOW_MODESET, *client.output(0, fb))

    made_again_until_it_is_through(client, request, timeline)

    client.world.run_until_done(block)
    assert client.shown() == (fb,)


@program.subtest("legacy-pageflip", waits_for_locks=True)
def legacy_pageflip(client):
    client.light_up()
    shown, fb = client.framebuffer(), client.framebuffer()
    block, timeline = blocked(client, ("primary0", "FB_ID", shown))
    request = ModePageFlip(client.ids["crtc0"], fb, int(Flag.PAGE_FLIP_EVENT))

    made_again_until_it_is_through(client, request, timeline)

    client.world.run_until_done(block)
    next_flip(client)
    assert client.shown() == (fb,)
