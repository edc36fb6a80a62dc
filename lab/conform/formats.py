"""The verdicts for machines: TAP 14, JUnit, JSON lines."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final
from xml.etree.ElementTree import Element, ElementTree, SubElement, indent

import msgspec

from syncline.conformance.judge import Result, Verdict

NOT_XML: Final = dict.fromkeys([*range(9), 11, 12, *range(14, 32)], "�")


def tap(results: Sequence[Result]) -> str:
    """TAP version 14: a warning is a TODO, a skip a SKIP."""
    lines = ["TAP version 14", f"1..{len(results)}"]
    for number, result in enumerate(results, 1):
        state = "not ok" if result.is_bad or result.verdict is Verdict.WARN else "ok"
        directive = {Verdict.SKIP: f" # SKIP {_flat(result.reason)}", Verdict.WARN: " # TODO practice"}
        lines.append(f"{state} {number} - {result.case}{directive.get(result.verdict, '')}")
        if result.reason and result.verdict is not Verdict.SKIP:
            lines += ["  ---", f"  message: {msgspec.json.encode(result.reason).decode()}", "  ..."]
    return "\n".join(lines) + "\n"


def _flat(text: str) -> str:
    return text.replace("\\", "\\\\").replace("#", "\\#").replace("\n", " ")


def write_junit(path: Path, target: str, results: Sequence[Result]) -> None:
    """One testsuite; its classes are the run classes."""
    bad = [each for each in results if each.is_bad]
    broken = sum(each.verdict is Verdict.BROKEN for each in bad)
    suite = Element(
        "testsuite",
        name=f"syncline conform {target}",
        tests=str(len(results)),
        failures=str(len(bad) - broken),
        errors=str(broken),
        skipped=str(sum(each.verdict is Verdict.SKIP for each in results)),
        time=f"{sum(each.seconds for each in results):.3f}",
    )
    for result in results:
        _testcase(suite, result)
    tree = ElementTree(suite)
    indent(tree)
    tree.write(path, encoding="utf-8", xml_declaration=True)


def _testcase(suite: Element, result: Result) -> None:
    case = SubElement(
        suite,
        "testcase",
        classname=f"conformance.{result.run_class}",
        name=result.case,
        time=f"{result.seconds:.3f}",
    )
    reason = result.reason.translate(NOT_XML)
    tag = {Verdict.FAIL: "failure", Verdict.BROKEN: "error", Verdict.SKIP: "skipped"}.get(result.verdict)
    if tag:
        SubElement(case, tag, message=reason)
    elif reason:
        SubElement(case, "system-out").text = reason


def json_line(result: Result) -> str:
    """The result without its messages, which `--record` keeps."""
    return msgspec.json.encode(msgspec.structs.replace(result, messages=())).decode()
