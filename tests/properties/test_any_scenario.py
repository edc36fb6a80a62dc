"""Whatever a scenario file says within its format, the replay performs it: never a fault of the model's."""

import gc
import os
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Final, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from syncline.lab.replay.kms_ops import ObjectValue
from syncline.lab.replay.machine import KERNELS, KernelName
from syncline.lab.replay.operation import FlaggedOp, Op
from syncline.lab.replay.run import run_scenario
from syncline.lab.replay.scenario import AnyOp, Async, Scenario

OPS: Final[tuple[type[Op], ...]] = get_args(AnyOp)
DEVICES: Final = ("virtio_gpu", "vkms", "vkms-rig2", "vgem", "-")
SYMBOLS: Final = {
    "dev": ("d", "d", "d", "e", "tl", "gone"),
    "fd": ("s", "p", "tl", "e", "ev", "buf", "so", "of", "nowhere", "gone", "d"),
    "handle": ("a", "b", "t", "gone"),
    "fb": ("fb0", "fb1", "gone"),
    "name": ("x", "y"),
}
KIND_OF: Final = {
    "dev": "dev", "handle": "handle", "handles": "handle", "src": "handle", "dst": "handle", "bo": "handle",
    "fence": "handle", "fb": "fb", "name": "name", "bind": "fd",
}  # fmt: skip
"""Which symbols go into a field; everywhere else descriptors do."""
OBJECTS: Final = ("crtc0", "conn0", "primary0", "cursor0", "overlay0", "writeback0", "crtc1")
PROPERTIES: Final = (
    "FB_ID", "CRTC_ID", "IN_FENCE_FD", "OUT_FENCE_PTR", "ACTIVE", "MODE_ID", "SRC_W", "CRTC_W", "CRTC_X", "type",
    "VRR_ENABLED", "WRITEBACK_FB_ID", "WRITEBACK_OUT_FENCE_PTR",
)  # fmt: skip
WORDS: Final = ("fb0", "fb1", "p", "s", "@MODE", "@W", "@H16", "gone")
NUMBERS: Final = (
    0,
    0,
    1,
    1,
    2,
    3,
    99,
    -1,
    1 << 31,
    (1 << 31) - 1,
    1 << 32,
    (1 << 63) - 1,
    1 << 63,
    (1 << 64) - 1,
)

numbers: Final = st.sampled_from(NUMBERS)
object_values: Final = st.one_of(
    st.builds(ObjectValue, obj=st.sampled_from(OBJECTS)),
    st.builds(ObjectValue, out_fence=st.just("of")),
    st.just(ObjectValue(bad_ptr=1)),
)
triples: Final = st.tuples(
    st.sampled_from((*OBJECTS, 1, 99)),
    st.sampled_from((*PROPERTIES, 1, 99)),
    st.one_of(numbers, st.sampled_from(WORDS), object_values),
)


def values(hint: Any, field: str) -> st.SearchStrategy[Any]:
    """Anything that the format allows for a field of this type, much of it sensible."""
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Literal:
        return st.sampled_from(parts)
    if origin in (Union, UnionType):
        return st.one_of(*(values(part, field) for part in parts))
    if origin is tuple and ... in parts:
        return st.lists(values(parts[0], field), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*(values(part, field) for part in parts))
    if hint is int:
        return numbers
    if hint is float:
        return st.sampled_from((0.0, 0.5, 20.0, 100.0))
    return {NoneType: st.none(), bool: st.booleans(), str: words(field), ObjectValue: object_values}[hint]


def words(field: str) -> st.SearchStrategy[str]:
    return st.sampled_from(SYMBOLS[KIND_OF.get(field, "fd")])


SPECIAL: Final[dict[str, st.SearchStrategy[Any]]] = {
    "atomic.props": st.lists(triples, max_size=4).map(tuple),
    "kms_get.props": st.lists(st.sampled_from([("crtc0", "ACTIVE"), ("primary0", "FB_ID")]), max_size=2).map(
        tuple
    ),
    "get_cap.cap": st.sampled_from(("SYNCOBJ", "PRIME", 0, 99)),
    "set_client_cap.cap": st.sampled_from(("ATOMIC", "WRITEBACK_CONNECTORS", "PLANE_COLOR_PIPELINE", 0, 99)),
    "fb_create.format": st.sampled_from(("XR24", "AR24", "NV12", "ZZZZ")),
    "fb_create.size": st.sampled_from((None, (64, 64), (0, 1), (-1, 1 << 40))),
    "open.device": st.sampled_from(("$DEV", "$DEV", "vgem", "vkms", "nouveau")),
    "kms_open.device": st.just("$DEV"),
    "kms_open.needs": st.just(()),
    "time_compare.a": st.just("last_event"),
    "time_compare.b": st.just("saved"),
    "sync_file_info.save_time": st.sampled_from((None, "saved")),
    "sync_file_merge.name": st.sampled_from(("merged", "", "é" * 40)),
    "poll.timeout_ms": st.sampled_from((0.0, 50.0)),
}


def fields(kind: type[Op]) -> dict[str, st.SearchStrategy[Any]]:
    tag, hints = kind.__struct_config__.tag, get_type_hints(kind)
    chosen: dict[str, st.SearchStrategy[Any]] = {}
    for field in msgspec.structs.fields(kind):
        strategy = SPECIAL.get(f"{tag}.{field.name}")
        if field.name == "flags" and issubclass(kind, FlaggedOp):
            names = st.lists(st.sampled_from((*kind.NAMES, 1)), max_size=2).map(tuple)
            strategy = st.one_of(numbers, names)
        elif field.name == "required":
            strategy = st.just(False)
        elif field.name == "do":
            strategy = st.deferred(lambda: anything_but_threads)
        chosen[field.name] = values(hints[field.name], field.name) if strategy is None else strategy
        if not field.required and field.name != "bind":
            chosen[field.name] = st.one_of(st.just(field.default), chosen[field.name])
    return chosen


operations: Final = {kind: st.builds(kind, **fields(kind)) for kind in OPS}
anything_but_threads: Final = st.one_of(*(made for kind, made in operations.items() if kind is not Async))
SETTING: Final = msgspec.json.decode(
    b"""[
  {"op": "kms_open", "as": "d"}, {"op": "open", "as": "d"}, {"op": "open", "device": "virtio_gpu", "as": "e"},
  {"op": "kms_open", "as": "d"}, {"op": "fb_create", "dev": "d", "as": "fb0"},
  {"op": "fb_create", "dev": "d", "as": "fb1"},
  {"op": "atomic", "dev": "d", "flags": ["ALLOW_MODESET"], "props": [["conn0", "CRTC_ID", {"obj": "crtc0"}],
   ["crtc0", "MODE_ID", "@MODE"], ["crtc0", "ACTIVE", 1], ["primary0", "FB_ID", "fb0"],
   ["primary0", "CRTC_ID", {"obj": "crtc0"}], ["primary0", "SRC_W", "@W16"], ["primary0", "SRC_H", "@H16"],
   ["primary0", "CRTC_W", "@W"], ["primary0", "CRTC_H", "@H"]]},
  {"op": "sw_timeline", "as": "tl"}, {"op": "sw_fence", "timeline": "tl", "value": 1, "as": "s"},
  {"op": "sw_fence", "timeline": "tl", "value": 2, "as": "p"}, {"op": "sw_inc", "timeline": "tl"},
  {"op": "eventfd_create", "as": "ev"}, {"op": "open_devnull", "as": "nowhere"},
  {"op": "syncobj_create", "dev": "e", "as": "a"}, {"op": "syncobj_create", "dev": "e", "as": "b"},
  {"op": "syncobj_create", "dev": "e", "as": "t"},
  {"op": "syncobj_timeline_signal", "dev": "e", "handles": ["t"], "points": [4]},
  {"op": "syncobj_handle_to_fd", "dev": "e", "handle": "t", "as": "so"},
  {"op": "dumb_create", "dev": "e", "as": "bo"}, {"op": "gem_export", "dev": "e", "handle": "bo", "as": "buf"}]""",
    type=tuple[AnyOp, ...],
)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("kind", OPS, ids=lambda kind: str(kind.__struct_config__.tag))
def test_every_operation_takes_whatever_its_fields_may_hold(kind: type[Op], kernel: KernelName) -> None:
    @settings(max_examples=10)
    @given(st.sampled_from(DEVICES), operations[kind])
    def perform(device: str, operation: Op) -> None:
        replay(device, kernel, (*SETTING, operation))

    perform()


@pytest.mark.parametrize("kernel", KERNELS)
@settings(max_examples=100)
@given(device=st.sampled_from(DEVICES), ops=st.lists(st.one_of(*operations.values()), max_size=12))
def test_any_mixture_of_operations_can_be_performed(kernel: KernelName, device: str, ops: list[Op]) -> None:
    replay(device, kernel, (*SETTING, *ops))


def test_a_scenario_leaves_no_descriptor_behind_whatever_it_was() -> None:
    gc.collect()
    before = {path.name for path in Path("/proc/self/fd").iterdir()}

    @settings(max_examples=20)
    @given(st.sampled_from(DEVICES), st.lists(st.one_of(*operations.values()), max_size=12))
    def perform(device: str, ops: list[Op]) -> None:
        replay(device, "linux-7.2", (*SETTING, *ops))

    perform()
    gc.collect()
    assert {path.name for path in Path("/proc/self/fd").iterdir()} <= before


def replay(device: str, kernel: KernelName, ops: tuple[Op, ...]) -> None:
    written = msgspec.json.encode(Scenario("any", (device,), ops))
    scenario = msgspec.json.decode(written, type=Scenario)

    run = run_scenario(scenario, device, kernel)

    assert run.status.split(":")[0] in {"ok", "skipped", "runner error", "killed"}
    assert all(result.ok or result.errno for result in run.ops)
    os.fstat(0)
