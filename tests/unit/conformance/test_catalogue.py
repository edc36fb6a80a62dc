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
        assert requirement.mark in {"N", "I", "U"}
        assert requirement.text.endswith(".")


def test_an_id_has_one_case_with_an_intent() -> None:
    assert [id for id, count in Counter(case.id for case in cases()).items() if count > 1] == []
    assert [case.id for case in cases() if not case.intent.endswith(".")] == []


def test_a_case_fails_a_run_only_if_something_in_the_text_stands_behind_it() -> None:
    marks = {case.id: {requirements()[each].mark for each in case.statements} for case in cases()}
    assert [case.id for case in cases() if not case.practice and marks[case.id] == {"I"}] == []


def test_the_first_release_of_the_catalogue_is_complete_in_what_a_socket_shows() -> None:
    numbers = {"OBJ": 19, "VAL": 35, "ACQ": 26, "REL": 22, "LIF": 8, "SUB": 13}
    away = {"ACQ-20", "ACQ-21", "REL-12", "REL-19"}
    """Pointer focus, output power and the compositor's end are not to be had through a socket."""
    wanted = {f"{area}-{n:02}" for area, last in numbers.items() for n in range(1, last + 1)} - away
    assert wanted <= {case.id for case in cases() if case.run_class in {RunClass.S, RunClass.D, RunClass.T}}
