"""Cases and requirements name each other, and every case says what it is."""

from collections import Counter

from syncline.conformance.case import RunClass
from syncline.conformance.catalogue import cases
from syncline.conformance.requirement import requirements


def test_every_case_stands_on_known_statements_and_every_statement_has_a_case() -> None:
    named = {statement for case in cases() for statement in case.statements}
    assert named == set(requirements())


def test_every_statement_is_one_sentence_with_a_mark() -> None:
    for requirement in requirements().values():
        assert requirement.mark in {"N", "I", "U", "C"}
        assert requirement.text.endswith(".")


def test_an_id_has_one_case_with_an_intent() -> None:
    assert [id for id, count in Counter(case.id for case in cases()).items() if count > 1] == []
    assert [case.id for case in cases() if not case.intent.endswith(".")] == []


def test_a_case_fails_a_run_only_if_something_in_the_text_stands_behind_it() -> None:
    marks = {case.id: {requirements()[each].mark for each in case.statements} for case in cases()}
    assert [case.id for case in cases() if not case.practice and marks[case.id] <= {"I", "C"}] == []


CATALOGUE = {
    "OBJ": "DDDDDDDDDDDDDDDDDDDM",
    "VAL": "DDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDDD",
    "ACQ": "TTTDDDDTTTTTDDDDDDTTDDDTTDMMMMT",
    "REL": "DTDDDDDDDDTMDDDDDDDDDDMMMMMMMMMMMM",
    "LIF": "DDDDDDDD",
    "SUB": "STTTDDTTDDTTS",
    "COR": "SSSSSDTSSSSM",
    "PRE": "STTTTTTMTM",
    "FIF": "STTTTTTTTMT",
    "CTM": "STSTTTDM",
    "TEA": "SM",
    "VPT": "S",
    "DMA": "DMMD",
    "KMS": "MMMMMMMMMMMMMM",
    "TRN": "XXXXXXXXX",
}
"""The class of each entry of the catalogue (protocol.md 5.1 to 5.10), in the order of their numbers."""

ELSEWHERE = {
    "REL-30": "judges clients: tests/unit/clients/test_demos.py",
    "KMS-03": "cannot be seen by a compositor's client: tests/igt/test_kms_atomic.py",
    "TRN-09": "is a measurement: tests/integration/test_bench_present.py",
}


def test_every_entry_of_the_catalogue_is_a_case_of_its_class() -> None:
    wanted = {
        f"{area}-{number:02}": RunClass[letter]
        for area, letters in CATALOGUE.items()
        for number, letter in enumerate(letters, 1)
    }
    there = {case.id: case.run_class for case in cases()}
    assert wanted.keys() - there.keys() == ELSEWHERE.keys()
    assert {id: there[id] for id in wanted.keys() & there.keys()} == {
        id: run_class for id, run_class in wanted.items() if id in there
    }


def test_every_case_names_the_statements_it_judges() -> None:
    assert [case.id for case in cases() if not case.statements] == []
