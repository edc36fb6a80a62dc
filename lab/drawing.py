"""How every picture of ours is drawn: colours that everybody can tell apart, SVG whose text stays text.

Colours are Okabe and Ito's; shape or hatching says the same again.
"""

import io
from contextlib import AbstractContextManager
from typing import Final

import matplotlib as mpl
from matplotlib.figure import Figure

BLUE: Final = "#0072B2"
ORANGE: Final = "#E69F00"
GREEN: Final = "#009E73"
VERMILION: Final = "#D55E00"
GREY: Final = "#767676"


def style(salt: str) -> AbstractContextManager[None]:
    """`salt` makes the names inside one picture its own, and the same each time."""
    return mpl.rc_context(
        {
            "svg.fonttype": "none",  # text stays text: to be found, copied, and read aloud
            "svg.hashsalt": salt,
            "font.family": "sans-serif",
            "font.size": 9.0,
            "hatch.linewidth": 0.5,
            "axes.spines.top": False,
            "axes.spines.right": False,
        }
    )


def svg(figure: Figure, title: str) -> str:
    """Without the XML prologue, which has no place inside HTML."""
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Title": title})
    return text.getvalue()[text.getvalue().index("<svg") :]
