"""The report: one HTML file with everything in it, no script, nothing fetched."""

from pathlib import Path
from typing import Final

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from syncline.lab.matrix.outcome import Matrix
from syncline.lab.matrix.picture import heat_map
from syncline.lab.matrix.table import sentence as verdict
from syncline.lab.present.figures import latency, parts
from syncline.lab.present.outcome import READINGS, Outcome, Result
from syncline.lab.present.table import sentence_of, short

HEAD: Final = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Syncline: {{ title }}</title>
<style>
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; margin-top: 2rem; }
figure { margin: 1rem 0; padding: .5rem; background: white; color: black; border-radius: .25rem; }
figure svg { display: block; width: 100%; height: auto; }
figcaption { font-size: .9rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .9rem; }
th, td { padding: .2rem .6rem; border-bottom: 1px solid #888; text-align: right; vertical-align: top; }
th:first-child, .text { text-align: left; }
td:not(.text) { white-space: nowrap; }
code { overflow-wrap: anywhere; }
.refused { font-style: italic; }
</style>
</head>
<body>
"""
"""How every page of the bench begins."""

TEMPLATE: Final = (
    HEAD
    + """\
<h1>From commit to light</h1>
<p>{{ outcome.results | sum(attribute="committed") }} frames of {{ outcome.clients }} client{{ "s" if outcome.clients > 1 }}
in {{ outcome.turns }} turn{{ "s" if outcome.turns > 1 }}, mode {{ outcome.mode }}, seed {{ outcome.seed }}.
The first tenth of a client's frames in each turn, at most 30, is left out of every statistic.</p>

<h2>Every frame</h2>
<figure>{{ latency }}
<figcaption>A dot is a frame; a dotted line is one more refresh. A good median lies low in the first band; dots in
higher bands were late. A cross is a frame that missed the first vblank it could have had,
an upright one if the machine stood still then.</figcaption></figure>

<h2>Where the time went</h2>
<figure>{{ parts }}
<figcaption>Means, so that the parts add up to the whole. What a compositor does not tell is left undivided.</figcaption></figure>

<h2>Numbers</h2>
<div class="wide"><table id="numbers">
<tr><th>p50 / p99 / worst, ms</th>{% for result in outcome.results %}<th>{{ result.name }}</th>{% endfor %}<th class="text">how to read it</th></tr>
{% for column, reading in readings.items() %}
<tr><td class="text">{{ column | short }}</td>
{% for result in outcome.results %}{% set each = result.columns.get(column) %}
<td data-name="{{ result.name }}" data-column="{{ column }}">{% if each %}{{ each.p50 | ms }} / {{ each.p99 | ms }} / {{ each.max | ms }}{% endif %}</td>
{% endfor %}<td class="text">{{ reading }}</td></tr>
{% endfor %}
{% for count, reading in counts.items() %}
<tr><td class="text">{{ count | short }}</td>
{% for result in outcome.results %}<td data-name="{{ result.name }}" data-column="{{ count }}">{{ result | known(count) }}</td>
{% endfor %}<td class="text">{{ reading }}</td></tr>
{% endfor %}
</table></div>
{% for result in outcome.results if result.note %}<p>{{ result.name }}: {{ result.note }}.</p>{% endfor %}

{% if outcome.ratios %}
<h2>Ratios</h2>
<div class="wide"><table id="ratios">
<tr><th>what</th><th>ratio</th><th>95 % interval</th><th>rounds differ by</th><th class="text">in words</th></tr>
{% for each in outcome.ratios %}
<tr{% if each.refused %} class="refused"{% endif %}><td class="text">{{ each.what }}</td>
<td>{{ "%.2f" | format(each.ratio) if each.ratio is not none }}</td>
<td>{{ "%.2f to %.2f" | format(each.low, each.high) if each.low is not none }}</td>
<td>{{ "%.2f" | format(each.noise) if each.noise is not none }}</td>
<td class="text">{{ each | sentence }}</td></tr>
{% endfor %}
</table></div>
{% endif %}

{% if matrix %}
<h2>Who stalls where</h2>
<figure id="matrix">{{ heat_map }}
<figcaption>{{ matrix | verdict }} White: nobody's thread sleeps. The words are those of docs/matrix.md.</figcaption></figure>
<p>Repeat: <code>{{ matrix.command }}</code></p>
{% endif %}

<h2>How far to trust it</h2>
{% for said in outcome.sentences %}<p>{{ said }}</p>{% endfor %}
<p>Syncline {{ outcome.machine.syncline }}, Python {{ outcome.machine.python }}, Linux {{ outcome.machine.kernel }},
{{ outcome.machine.cores }} cores, {{ outcome.machine.cpu }}{% for result in outcome.results if result.version %}{% if loop.first %};{% endif %} {{ result.version }}{% endfor %}.
Columns and their definitions, schema {{ outcome.schema }}: docs/bench.md.</p>
<p>Repeat: <code>{{ outcome.command }}</code></p>
</body>
</html>
"""
)

COUNTS: Final = {
    "shown": "frames that reached the screen, warm-up included",
    "counted": "frames that the statistics are made of",
    "missed_vblanks": "refreshes between the first vblank after the commit and the one that showed it",
    "missed_by_client": "of these, gone by while the update was not ready",
    "missed_by_compositor": "of these, gone by though it was ready",
    "missed_by_machine": "of these, gone by while the machine stood still",
    "missed_before_arrival": "of these, latched for before the commit had arrived",
    "over_two_refreshes": "frames that took longer than two refreshes",
    "cpu_per_frame_ns": "CPU time of compositor and device per frame shown",
}


def write_page(path: Path, outcome: Outcome, matrix: Matrix | None) -> None:
    """Everything of the outcome but the single frames, which are in the picture; and a matrix if there is one."""
    path.write_text(page(outcome, matrix))


def page(outcome: Outcome, matrix: Matrix | None = None) -> str:
    """The HTML."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters |= {
        "ms": ms,
        "short": short,
        "sentence": sentence_of,
        "known": _known,
        "verdict": verdict,
    }
    template = environment.from_string(TEMPLATE)
    told = {column for result in outcome.results for column in result.columns}
    return template.render(
        title="present latency",
        outcome=outcome,
        readings={column: reading for column, reading in READINGS.items() if column in told},
        counts=COUNTS,
        latency=Markup(latency(outcome)),  # noqa: S704 - matplotlib has escaped the names in it
        parts=Markup(parts(outcome)),  # noqa: S704 - likewise
        matrix=matrix,
        heat_map=Markup(heat_map(matrix)) if matrix else "",  # noqa: S704 - likewise
    )


def ms(value_ns: int) -> str:
    """As every table shows it."""
    return f"{value_ns / 1e6:.2f}"


def _known(result: Result, count: str) -> str:
    value = getattr(result, count)
    if value is None:
        return ""
    return ms(value) if count.endswith("_ns") else str(value)
