"""What a person reads at the end of a run."""

from syncline.clients.toolkit.report import Ended, Presented, Started
from syncline.clients.toolkit.summary import Summary


def test_without_a_stream_a_person_gets_one_line_at_the_end() -> None:
    said: list[str] = []
    summary = Summary(said.append)
    summary(Started(t_ns=0, client=1, demo="solid", title="typist"))
    for c2p_ns in (16_000_000, 4_000_000, 10_000_000):
        summary(presented(c2p_ns))
    summary(
        Ended(
            t_ns=9,
            client=1,
            committed=4,
            presented=3,
            discarded=1,
            unanswered=0,
            owed=4,
            paid=4,
            reason="all frames are drawn",
        )
    )

    (line,) = said
    assert line == (
        "typist: 4 commits, 3 presented, 1 discarded, 0 unanswered, c2p p50 10.00 ms p99 16.00 ms; "
        "4 of 4 images came back (all frames are drawn)\n"
    )


def presented(c2p_ns: int) -> Presented:
    """A presentation that took so long; the rest is of no interest."""
    return Presented(
        t_ns=0,
        client=1,
        surface=3,
        frame=1,
        presented_ns=0,
        sequence=0,
        refresh_ns=0,
        flags=0,
        f2c_ns=0,
        c2p_ns=c2p_ns,
        f2p_ns=c2p_ns,
        p2p_ns=None,
        t2p_ns=None,
    )
