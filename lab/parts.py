"""`syncline device`, `compositor` and `client`: each part as a process of its own, with its own flags."""

from typing import Annotated

from cyclopts import Parameter

Words = Annotated[str, Parameter(show=False, allow_leading_hyphen=True)]


def device(*words: Words) -> int:
    """Serve a device node: `syncline device --socket /run/user/1000/syncline/card0`."""
    from syncline.kms_model.command import main  # noqa: PLC0415 - a device needs neither Wayland nor a client

    return main(words)


def compositor(*words: Words) -> int:
    """Run the compositor: `syncline compositor --socket wayland-7`."""
    from syncline.compositor.__main__ import main  # noqa: PLC0415 - and a compositor no client

    return main(words)


def client(*words: Words) -> int:
    """Run one demo client: `syncline client solid --gpu-ms 5`."""
    from syncline.clients.command import main  # noqa: PLC0415 - nor a client a compositor

    return main(words)
