"""The real node's door: structs and numbers as the C compiler sees them, errno as the kernel gives it."""

import os
import shutil
import subprocess
from errno import EINVAL, ENOENT, ENOTTY
from pathlib import Path

import pytest

from syncline.kms_model.linux import LinuxFile, abi, has_timelines, render_nodes
from syncline.kms_model.uapi import (
    DeviceError,
    DmaBufExportSyncFile,
    Fd,
    ModeGetResources,
    SyncobjCreate,
    SyncobjTimelineSignal,
)

C_NAMES = {
    "DRM_IOCTL_GEM_CLOSE": ("drm_gem_close", abi.GEM_CLOSE),
    "DRM_IOCTL_GET_CAP": ("drm_get_cap", abi.GET_CAP),
    "DRM_IOCTL_PRIME_HANDLE_TO_FD": ("drm_prime_handle", abi.PRIME_HANDLE_TO_FD),
    "DRM_IOCTL_PRIME_FD_TO_HANDLE": ("drm_prime_handle", abi.PRIME_FD_TO_HANDLE),
    "DRM_IOCTL_MODE_CREATE_DUMB": ("drm_mode_create_dumb", abi.MODE_CREATE_DUMB),
    "DRM_IOCTL_SYNCOBJ_CREATE": ("drm_syncobj_create", abi.SYNCOBJ_CREATE),
    "DRM_IOCTL_SYNCOBJ_DESTROY": ("drm_syncobj_destroy", abi.SYNCOBJ_DESTROY),
    "DRM_IOCTL_SYNCOBJ_RESET": ("drm_syncobj_array", abi.SYNCOBJ_RESET),
    "DRM_IOCTL_SYNCOBJ_QUERY": ("drm_syncobj_timeline_array", abi.SYNCOBJ_QUERY),
    "DRM_IOCTL_SYNCOBJ_TIMELINE_SIGNAL": ("drm_syncobj_timeline_array", abi.SYNCOBJ_TIMELINE_SIGNAL),
    "DRM_IOCTL_SYNCOBJ_TRANSFER": ("drm_syncobj_transfer", abi.SYNCOBJ_TRANSFER),
    "DMA_BUF_IOCTL_SYNC": ("dma_buf_sync", abi.DMA_BUF_SYNC),
    "DMA_BUF_IOCTL_EXPORT_SYNC_FILE": ("dma_buf_export_sync_file", abi.DMA_BUF_EXPORT_SYNC_FILE),
    "DMA_BUF_IOCTL_IMPORT_SYNC_FILE": ("dma_buf_import_sync_file", abi.DMA_BUF_IMPORT_SYNC_FILE),
    "SYNC_IOC_FILE_INFO": ("sync_file_info", abi.SYNC_FILE_INFO),
    "UDMABUF_CREATE": ("udmabuf_create", abi.UDMABUF_CREATE),
}
SINCE_6_6 = {
    "DRM_IOCTL_SYNCOBJ_EVENTFD": ("drm_syncobj_eventfd", abi.SYNCOBJ_EVENTFD),
    "DRM_IOCTL_SYNCOBJ_TIMELINE_WAIT": ("drm_syncobj_timeline_wait", abi.SYNCOBJ_TIMELINE_WAIT),
}
SINCE_6_16 = {
    "DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD": ("drm_syncobj_handle", abi.SYNCOBJ_POINT_TO_FD),
    "DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE": ("drm_syncobj_handle", abi.SYNCOBJ_FD_TO_POINT),
}
BEFORE_6_6 = {"DRM_IOCTL_SYNCOBJ_TIMELINE_WAIT": ("drm_syncobj_timeline_wait", abi.SYNCOBJ_TIMELINE_WAIT)}
BEFORE_6_16 = {
    "DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD": ("drm_syncobj_handle", abi.SYNCOBJ_HANDLE_TO_FD),
    "DRM_IOCTL_SYNCOBJ_FD_TO_HANDLE": ("drm_syncobj_handle", abi.SYNCOBJ_FD_TO_HANDLE),
}

Names = dict[str, tuple[str, abi.Ioctl]]


def _lines(names: Names, *, without: str = "") -> list[str]:
    """A printf for each ioctl's number, its struct's size, and every member's offset and size."""
    lines = []
    for macro, (struct, ioctl) in names.items():
        members = [each for each in ioctl.layout.names if each != without]
        lines.append(
            f'printf("{macro} %lu\\n", (unsigned long){macro} & ~{0x3FFF << 16 if without else 0}UL);'
        )
        if not without:
            lines.append(f'printf("{macro}.size %zu\\n", sizeof(struct {struct}));')
        for member in members:
            place = f"offsetof(struct {struct}, {member}), sizeof(((struct {struct} *)0)->{member})"
            lines.append(f'printf("{macro}.{member} %zu %zu\\n", {place});')
    return lines


def _program() -> str:
    headers = ("stddef.h", "stdio.h", "drm.h", "linux/dma-buf.h", "linux/sync_file.h", "linux/udmabuf.h")
    return "\n".join((
        *(f"#include <{header}>" for header in headers),
        "int main(void) {",
        *_lines(C_NAMES),
        *(
            f'printf("sync_fence_info.{member} %zu\\n", offsetof(struct sync_fence_info, {member}));'
            for member in abi.SYNC_FENCE_INFO.names
        ),
        "#ifdef DRM_IOCTL_SYNCOBJ_EVENTFD",
        *_lines(SINCE_6_6),
        "#else",
        *_lines(BEFORE_6_6, without="deadline_nsec"),
        "#endif",
        "#ifdef DRM_SYNCOBJ_HANDLE_TO_FD_FLAGS_TIMELINE",
        *_lines(SINCE_6_16),
        "#else",
        *_lines(BEFORE_6_16),
        "#endif",
        "return 0; }",
    ))  # fmt: skip


def _ours(names: Names, *, without: str = "") -> set[str]:
    said = set()
    for macro, (_, ioctl) in names.items():
        mask = ~(0x3FFF << 16) if without else -1
        said.add(f"{macro} {ioctl.number & mask}")
        if not without:
            said.add(f"{macro}.size {ioctl.layout.struct.size}")
        offset = 0
        for member in ioctl.layout.members.split(","):
            kind, name = member.split()
            size = {"u32": 4, "s32": 4, "u64": 8, "s64": 8, "name": 32}[kind]
            if name != without:
                said.add(f"{macro}.{name} {offset} {size}")
            offset += size
    return said


def test_structs_and_numbers_are_those_of_the_systems_headers(tmp_path: Path) -> None:
    if shutil.which("cc") is None or not Path("/usr/include/libdrm/drm.h").exists():
        pytest.skip("cc or libdrm-dev is not installed (see .ci/packages)")
    source, program = tmp_path / "abi.c", tmp_path / "abi"
    source.write_text(_program())
    subprocess.run(["cc", "-I/usr/include/libdrm", "-o", program, source], check=True)
    told = set(subprocess.run([program], check=True, capture_output=True, text=True).stdout.splitlines())
    is_6_6 = any(line.startswith("DRM_IOCTL_SYNCOBJ_EVENTFD") for line in told)
    is_6_16 = any(line.startswith("DRM_IOCTL_SYNCOBJ_HANDLE_TO_FD.point") for line in told)
    ours = _ours(C_NAMES) | (_ours(SINCE_6_16) if is_6_16 else _ours(BEFORE_6_16))
    offsets = (0, 32, 64, 68, 72)
    ours |= {
        f"sync_fence_info.{name} {at}" for name, at in zip(abi.SYNC_FENCE_INFO.names, offsets, strict=True)
    }
    assert abi.SYNC_FENCE_INFO.struct.size == offsets[-1] + 8
    ours |= _ours(SINCE_6_6) if is_6_6 else _ours(BEFORE_6_6, without="deadline_nsec")
    assert told == ours


def test_what_the_systems_headers_may_lack_is_as_the_kernel_documents_it() -> None:
    assert abi.SYNCOBJ_EVENTFD.number == 0xC018_64CF
    assert abi.SYNCOBJ_TIMELINE_WAIT.number == 0xC030_64CA
    assert abi.SYNCOBJ_POINT_TO_FD.number == 0xC018_64C1
    assert abi.VGEM_FENCE_ATTACH.number == 0xC010_6441
    assert abi.VGEM_FENCE_SIGNAL.number == 0x4008_6442
    assert abi.SW_SYNC_CREATE_FENCE.number == 0xC028_5700
    assert abi.SW_SYNC_INC.number == 0x4004_5701


def test_a_member_goes_in_and_comes_out_and_the_rest_is_zero() -> None:
    layout = abi.Layout("u32 handle, s32 fd, u64 point")
    data = layout.pack(fd=-1, point=1 << 63)
    assert (layout.read(data, "handle"), layout.read(data, "fd"), layout.read(data, "point")) == (
        0,
        -1,
        1 << 63,
    )
    with pytest.raises(AssertionError, match="colour"):
        layout.pack(colour=1)


def _errno(call: object) -> int:
    with pytest.raises(DeviceError) as refusal:
        call()  # type: ignore[operator]
    return refusal.value.errno


def test_what_is_no_drm_node_answers_with_the_kernels_errno() -> None:
    assert _errno(lambda: LinuxFile(Path("/nowhere/renderD128"))) == ENOENT
    file = LinuxFile(Path(os.devnull))
    try:
        assert _errno(lambda: file.call(SyncobjCreate())) == ENOTTY
        assert _errno(lambda: file.call(SyncobjTimelineSignal(handles=(1, 2), points=(3, 4)))) == ENOTTY
        assert _errno(lambda: file.call(DmaBufExportSyncFile(fd=Fd(file.fileno()), flags=1))) == ENOTTY
        assert _errno(lambda: file.call(ModeGetResources())) == EINVAL
    finally:
        file.close()
    assert not has_timelines(Path(os.devnull))


def test_nodes_are_found_where_they_are() -> None:
    assert all(path.name.startswith("renderD") for path in render_nodes())
