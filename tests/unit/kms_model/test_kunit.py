"""The kernel's own tests of fences, chains, unwrapping and reservations (kernel.md 5.2): each has a test of ours."""

import importlib.util
from pathlib import Path

import pytest

FILES = {
    "st-dma-fence": "fences/test_fence.py",
    "st-dma-fence-chain": "fences/test_chain.py",
    "st-dma-fence-unwrap": "fences/test_unwrap.py",
    "st-dma-resv": "buffers/test_resv.py",
}
CASES = {
    "st-dma-fence": """sanitycheck signaling add_callback late_add_callback rm_callback late_rm_callback status error
        wait wait_timeout stub race_signal_callback""",
    "st-dma-fence-chain": """sanitycheck find_seqno find_signaled find_out_of_order find_gap find_race signal_forward
        signal_backward wait_forward wait_backward wait_random""",
    "st-dma-fence-unwrap": """sanitycheck unwrap_array unwrap_chain unwrap_chain_array unwrap_merge
        unwrap_merge_duplicate unwrap_merge_seqno unwrap_merge_order unwrap_merge_complex
        unwrap_merge_complex_seqno""",
    "st-dma-resv": "sanitycheck signaling for_each for_each_unlocked get_fences",
}


@pytest.mark.parametrize("suite", CASES)
def test_every_case_is_translated(suite: str) -> None:
    assert marked(FILES[suite]) == {f"{suite} {name}" for name in CASES[suite].split()}


def test_there_are_as_many_as_the_spec_counts() -> None:
    assert [len(names.split()) for names in CASES.values()] == [12, 11, 10, 5]


def marked(file: str) -> set[str]:
    """What the tests of a file say that they stand for, of the kernel's tests."""
    spec = importlib.util.spec_from_file_location(Path(file).stem, Path(__file__).parent / file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    marks = (mark for thing in vars(module).values() for mark in getattr(thing, "pytestmark", ()))
    return {mark.args[0] for mark in marks if mark.name == "requirement" and mark.args[0].startswith("st-")}
