"""The fence checker: a lockdep for fences (kernel.md 7).

It watches a machine as its observer and reports what could go wrong, from orders seen in any run, not only
what did. `graph` is who waits for whom, `waits` the rules about that (K1, K3, K6) with `lock_classes` for what is
wrong by class, `promises` the rules of single fences (K2, K7 to K11), `timelines` those of points (K19, K20), `commits` those of
the display (K13 to K15); the
end of a run (K24) is `checker`'s. A finding is a `report`, the `ledger` keeps one of each class.
"""

from syncline.kms_model.checker.checker import Checker
from syncline.kms_model.checker.dot import as_dot, report_as_dot
from syncline.kms_model.checker.ledger import Known, Ledger, Policy, Violation
from syncline.kms_model.checker.report import Report, Severity, as_json, as_text

__all__ = [
    "Checker",
    "Known",
    "Ledger",
    "Policy",
    "Report",
    "Severity",
    "Violation",
    "as_dot",
    "as_json",
    "as_text",
    "report_as_dot",
]
