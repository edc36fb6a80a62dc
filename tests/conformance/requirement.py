"""The statements that cases stand on: an id, how binding it is, and one sentence of our own."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Requirement:
    """`mark`: N follows from the text, I from practice, U is left open, C binds the client (protocol.md 0)."""

    id: str
    mark: str
    text: str


@cache
def requirements() -> Mapping[str, Requirement]:
    """All of them by id."""
    table = tomllib.loads(files("syncline.conformance").joinpath("requirements.toml").read_text())
    return {id: Requirement(id, entry["mark"], entry["text"]) for id, entry in table.items()}
