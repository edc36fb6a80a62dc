"""`syncline device`, `compositor` and `client`: each part as a process of its own, with its own flags."""

from typing import Annotated

from cyclopts import Parameter

from syncline.clients.command import main as run_client

Words = Annotated[str, Parameter(show=False, allow_leading_hyphen=True)]


def client(*words: Words) -> int:
    """Run one demo client: `syncline client solid --gpu-ms 5`."""
    return run_client(words)
