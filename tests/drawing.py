"""What tests of pictures look at."""

import numpy as np
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from subspace_illusion.report.plots.style import plt


def drawn(figure: Figure) -> Figure:
    """The figure after drawing; no wider than a page, and no text smaller than 8 points."""
    figure.canvas.draw()
    assert figure.get_figwidth() <= 7.5
    assert min(text.get_fontsize() for text in texts(figure)) >= 8
    return figure


def texts(figure: Figure) -> list:
    return [text for text in figure.findobj(plt.Text) if text.get_text() and text.get_visible()]


def words(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in texts(figure))


def shown(axis) -> list:
    return [label.get_text() for label in axis.get_yticklabels()]


def intervals(axis) -> list[tuple[float, float]]:
    """The ends of every interval that is seen."""
    ends = [path.vertices[:, 0] for lines in axis.collections if hasattr(lines, "get_segments")
            for path in lines.get_paths() if len(path.vertices) == 2]  # fmt: skip
    return [(round(a, 6), round(b, 6)) for a, b in ends if np.isfinite([a, b]).all() and a != b]


def points(axis, colour: str | None = None) -> list[tuple[float, float]]:
    """Places of the markers, the ends of intervals left out."""
    lines = [line for line in axis.lines if line.get_marker() in list("os^vD<>") and line.get_ls() == "None"]
    lines = [line for line in lines if colour in (None, to_hex(line.get_color()).upper())]
    return [(float(x), float(y)) for line in lines for x, y in zip(*line.get_data(), strict=True) if np.isfinite(x)]
