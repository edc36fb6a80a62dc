"""Where the tester's own device comes from: a Syncline node, or a real one of /dev/dri."""

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from syncline.kms_model.linux import LinuxFile, has_timelines, render_nodes
from syncline.kms_model.remote import RemoteFile
from syncline.kms_model.uapi import DEBUG_NODE, DeviceError, DeviceFile

OTHER_NODE: Final = "other"
"""In the place of "card": a second GPU, which paints as slowly as it is told to. No real one does."""


class Provider(Protocol):
    """Opens for one target."""

    def open(self, node: str) -> DeviceFile | None:
        """A file of the tester's own: "card", "render", "debug" or "other"; None: there is no such node."""
        ...


@dataclass(frozen=True, slots=True)
class Modelled:
    """The device node that a Syncline compositor runs on."""

    path: Path

    def open(self, node: str) -> DeviceFile | None:
        try:
            return RemoteFile(self.path, node)
        except (OSError, DeviceError):
            return None


@dataclass(frozen=True, slots=True)
class Real:
    """Render nodes. The first is ours, and the last is "another node": with one GPU they are the same."""

    paths: tuple[Path, ...]

    def open(self, node: str) -> DeviceFile | None:
        if node in {DEBUG_NODE, OTHER_NODE}:
            return None
        return LinuxFile(self.paths[0 if node == "card" else -1])


class Nothing:
    """No device: what needs none can still be judged."""

    def open(self, _node: str) -> None:
        return None


NOTHING: Final = Nothing()


def provider_at(path: Path | None) -> Provider:
    """By the operator's word, or else what this machine has."""
    if path is None:
        found = tuple(each for each in render_nodes() if has_timelines(each))
        return Real(found) if found else NOTHING
    if path.exists() and stat.S_ISCHR(path.stat().st_mode):
        return Real((path,))
    return Modelled(path)
