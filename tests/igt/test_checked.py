"""The core set under the fence checker: a rule is broken only where IGT means to break it."""

from igt import (
    test_dmabuf_sync_file,
    test_sw_sync,
    test_syncobj_basic,
    test_syncobj_eventfd,
    test_syncobj_timeline,
    test_syncobj_wait,
)
from igt.local import run_local

from syncline.kms_model.checker import Ledger, Policy
from syncline.kms_model.checker.known import UPSTREAM

PROGRAMS = tuple(
    module.program
    for module in (
        test_syncobj_basic,
        test_syncobj_wait,
        test_syncobj_timeline,
        test_syncobj_eventfd,
        test_sw_sync,
        test_dmabuf_sync_file,
    )
)
SW_SYNC = "sw_sync is for tests, and may break every promise"
UNORDERED = "H6: unordered points are allowed, and QUERY goes back"


def test_the_core_set_breaks_one_rule_in_one_subtest_besides_what_sw_sync_is() -> None:
    on_purpose = []
    for program in PROGRAMS:
        for name, story in program.stories.items():
            ledger = Ledger(Policy.COLLECT, known=UPSTREAM)
            run_local(story, ledger)
            assert not ledger.reports, (program.name, name, ledger.summary())
            on_purpose += [(name, reason) for reason in ledger.suppressed if reason != SW_SYNC]

    assert on_purpose == [("device-submit-unordered", UNORDERED)]
