"""Where a variable lives, for people: one page with two pictures."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from subspace_illusion.files import write_text
from subspace_illusion.measures.localise import RULE_IN_WORDS, Window
from subspace_illusion.report.page import draw_picture, fill_in
from subspace_illusion.report.plots.localise import localise_figure, localise_map_figure
from subspace_illusion.report.section import Picture


def write_localise_page(
    said: str, components: pd.DataFrame, tokens: pd.DataFrame, window: Window, target: Path
) -> None:
    """Writes the page, which opens offline.

    Args:
        said: What was found, as the terminal shows it.
        components: As ``measures.localise.localise`` gives it.
        tokens: As ``map_tokens`` gives it.
        window: Which block writes, which reads.
        target: A path that ends in ``.html``.
    """
    figure = localise_figure(components, window.writes, window.reads, "the pairs' own token")
    pictures = [
        Picture("localise", "Effect of patching every component whole, by block", figure),
        Picture(
            "localise_map",
            "Effect of patching the residual stream at one kind of token at a time, by block",
            localise_map_figure(tokens),
        ),
    ]
    with TemporaryDirectory() as folder:
        for picture in pictures:
            draw_picture(picture, Path(folder), dpi=150)
        page, _ = fill_in("localise", Path(folder), "", drawn=pictures, said=said, rule=RULE_IN_WORDS)
    write_text(target, page)
