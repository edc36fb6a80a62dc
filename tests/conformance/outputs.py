"""The compositor's outputs, and an evening without them."""

from collections.abc import Iterator
from contextlib import contextmanager

from syncline.conformance.client import Client
from syncline.conformance.trial import Trial
from syncline.conformance.verdict import Skip


def output_names(client: Client) -> list[str]:
    """Those that connectors have. Raises Skip."""
    outputs = client.bind_all("wl_output")
    client.roundtrip()
    names = [words[0] for each in outputs if (words := each.last("name")) is not None]
    if not names or len(names) < len(outputs):
        raise Skip("outputs that tell their names (wl_output version 4)")
    return names


@contextmanager
def all_off(trial: Trial) -> Iterator[None]:
    """Every cable is pulled, and put in again in the end. Raises Skip."""
    client = trial.client("outputs")
    names = output_names(client)
    for name in names:
        trial.faults.pull(name)
    trial.expect(lambda: not client.offers("wl_output"), "the end of every wl_output without its screen")
    yield
    for name in names:
        trial.faults.put_in(name)
    trial.expect(lambda: client.offers("wl_output"), "outputs again once there are screens")
