"""The report of `syncline bench scale`: every figure over the number of clients, with its slope."""

from pathlib import Path
from typing import Final

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from syncline.lab.drawing import BLUE, GREEN, GREY, ORANGE, VERMILION, style, svg
from syncline.lab.present.page import HEAD
from syncline.lab.present.scale import READINGS, Outcome, figures

TEMPLATE: Final = (
    HEAD
    + """\
<h1>One more client</h1>
<p>{{ outcome.steps[0].clients }} to {{ outcome.steps[-1].clients }} clients with {{ outcome.sync }} synchronisation, each number
of them on a compositor and a device of its own; seed {{ outcome.seed }}.</p>

<figure>{{ picture }}
<figcaption>Against the number of clients. A flat line is good; where one rises steeply the machine is full.</figcaption></figure>

<h2>Numbers</h2>
<div class="wide"><table id="numbers">
<tr><th>clients</th><th>shown</th>{% for name in names %}<th>{{ name }}</th>{% endfor %}</tr>
{% for step in outcome.steps %}
<tr><td>{{ step.clients }}</td><td>{{ step.shown }}</td>
{% for name, value in (step | figures).items() %}<td data-clients="{{ step.clients }}" data-figure="{{ name }}">{{ "%.2f" | format(value) if value is not none }}</td>{% endfor %}</tr>
{% endfor %}
<tr><td>slope</td><td></td>
{% for name in names %}<td data-figure="{{ name }}">{{ "%+.3f" | format(outcome.slopes[name]) if name in outcome.slopes }}</td>{% endfor %}</tr>
</table></div>
{% for said in readings %}<p>{{ said }}</p>{% endfor %}

<h2>How far to trust it</h2>
{% for said in outcome.sentences %}<p>{{ said }}</p>{% endfor %}
<p>Syncline {{ machine.syncline }}, Python {{ machine.python }}, Linux {{ machine.kernel }}, {{ machine.cores }} cores,
{{ machine.cpu }}. Schema {{ outcome.schema }}: docs/bench.md.</p>
<p>Repeat: <code>{{ outcome.command }}</code></p>
</body>
</html>
"""
)

PANELS: Final = (
    ("latency, ms", (("p50 ms", BLUE, "o"), ("p99 ms", VERMILION, "^"))),
    ("missed vblanks per frame", (("missed", BLUE, "o"), ("by us", VERMILION, "^"), ("halted", GREY, "s"))),
    ("CPU per frame, ms", (("CPU ms", ORANGE, "o"), ("node ms", GREEN, "^"))),
    ("memory, MiB", (("MiB", BLUE, "o"),)),
)
"""Title, and which figures with which mark."""


def write_page(path: Path, outcome: Outcome) -> None:
    """One HTML file with everything in it."""
    path.write_text(page(outcome))


def page(outcome: Outcome) -> str:
    """The HTML."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters["figures"] = figures
    return environment.from_string(TEMPLATE).render(
        title="one more client",
        outcome=outcome,
        names=list(figures(outcome.steps[0])),
        readings=READINGS,
        machine=outcome.steps[-1].machine,
        picture=Markup(picture(outcome)),  # noqa: S704 - drawn by matplotlib from numbers
    )


def picture(outcome: Outcome) -> str:
    """Four panels."""
    counts = [step.clients for step in outcome.steps]
    with style("scale"):
        figure = Figure(figsize=(10.0, 5.6), layout="constrained")
        for axes, (title, lines) in zip(figure.subplots(2, 2).flat, PANELS, strict=True):
            for name, colour, mark in lines:
                _draw(axes, outcome, name, colour, mark)
            axes.set_title(title, loc="left")
            axes.set_xlabel("clients")
            axes.set_xscale("log", base=2)
            axes.set_xticks(counts, labels=list(map(str, counts)), minor=False)
            axes.set_ylim(bottom=0, top=1.05 * axes.get_ylim()[1])
            if len(lines) > 1:
                axes.legend(fontsize=8, frameon=False)
        return svg(figure, "Latency, missed vblanks, CPU time and memory over the number of clients")


def _draw(axes: Axes, outcome: Outcome, name: str, colour: str, mark: str) -> None:
    known = [(step.clients, value) for step in outcome.steps if (value := figures(step)[name]) is not None]
    if known:
        clients, values = zip(*known, strict=True)
        axes.plot(clients, values, color=colour, marker=mark, markersize=4, linewidth=1, label=name)
