"""Writeback: the image of a CRTC back into a framebuffer, with a fence of its own (kernel.md 3.7)."""

from syncline.kms_model.kms.display import Display
from syncline.kms_model.kms.objects import Connector, Crtc, CrtcCommit, WritebackJob
from syncline.kms_model.kms.scanout import compose_into
from syncline.kms_model.kms.state import AtomicState


def queue_writeback(display: Display, state: AtomicState) -> None:
    """A job is written at the vblank that latches its frame, once the flip has been told; jobs in order."""
    for connector, new in state.connectors.items():
        if new.writeback is not None and new.crtc is not None:
            _queue(display, connector, new.crtc, new.writeback, new.commit)


def _queue(
    display: Display, connector: Connector, crtc: Crtc, job: WritebackJob, commit: CrtcCommit | None
) -> None:
    def write(_sequence: int, _time_ns: int) -> None:
        if crtc.showing is not None and job.fb is not None:
            compose_into(crtc.showing, job.fb)
            if display.kernel.accesses is not None and commit is not None:
                display.kernel.accesses.written_back(connector, commit, job.fb.gem.resv)
        if job.out_fence is not None:
            job.out_fence.signal(display.kernel.now_ns)

    crtc.vblank.queue(crtc.vblank.last()[0] + 1, write)
