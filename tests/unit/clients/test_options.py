"""What may be said on the command line, and what is answered to the rest."""

import pytest
from cyclopts import App, CycloptsError

from syncline.clients.catalogue import DEMOS
from syncline.clients.toolkit.options import DEFAULTS, Mode, Options


def parse(arguments: str) -> Options:
    """The options as a demo gets them."""
    app = App(result_action="return_value")
    heard: list[Options] = []

    @app.default
    def demo(options: Options = DEFAULTS) -> None:
        heard.append(options)

    app(arguments, exit_on_error=False, print_error=False)
    return heard[0]


def test_flags_are_spelt_with_dashes_and_sizes_as_wxh() -> None:
    options = parse("--size 640x480 --gpu-ms 2.5 --mode low-latency --client-id 4 --fullscreen")

    assert options == Options(
        size=(640, 480), gpu_ms=2.5, mode=Mode.LOW_LATENCY, client_id=4, fullscreen=True
    )


@pytest.mark.parametrize(
    "arguments",
    ["--size 640", "--size 0x480", "--size -1x5", "--rate -1", "--buffers 0", "--mode fast"],
)
def test_a_value_that_makes_no_sense_is_refused(arguments: str) -> None:
    with pytest.raises(CycloptsError):
        parse(arguments)


def test_a_demo_fills_in_what_it_was_not_told() -> None:
    hog = DEMOS["hog"].complete(Options())
    assert (hog.gpu_ms, hog.buffers, hog.title) == (40.0, 3, "hog")

    told = DEMOS["hog"].complete(Options(gpu_ms=0.0, buffers=5, title="piglet"))
    assert (told.gpu_ms, told.buffers, told.title) == (0.0, 5, "piglet")


def test_milliseconds_hertz_and_seconds_become_nanoseconds() -> None:
    options = Options(gpu_ms=2.5, rate=60.0, seconds=0.1)

    assert (options.gpu_ns, options.period_ns, options.duration_ns) == (2_500_000, 16_666_667, 100_000_000)
    assert Options().period_ns == 0


def test_nothing_need_be_said() -> None:
    assert parse("") == Options()
