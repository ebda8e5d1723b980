"""Puts the findings of the last run into the README and the page on the reproduction.

Usage: python -m subspace_illusion.pipeline.readme
"""

from collections.abc import Iterator
from pathlib import Path

from subspace_illusion.files import read_table
from subspace_illusion.pipeline.layout import (
    ARCHITECTURES,
    CALIBRATION_PAGE,
    CLAIMS,
    CLAIMS_ON_FACTS,
    HEADLINE,
    MODELS_PAGE,
    README_PAGE,
    README_TABLE,
    REPAIRED,
    REPRODUCTION,
    VERDICT_PAGE,
    VERDICTS,
)
from subspace_illusion.report.claims import claims_block, of_runs
from subspace_illusion.report.readme import findings_block, with_block
from subspace_illusion.report.section import Grid
from subspace_illusion.report.sections.calibration import (
    compared_grid,
    goals_grid,
    held_out_grid,
    short_compared_grid,
    short_held_out_grid,
    words_grid,
)
from subspace_illusion.report.verdicts_block import verdicts_block
from subspace_illusion.verdict.shipped import read_calibration


def blocks(top: Path) -> Iterator[tuple[Path, str, str]]:
    """Each page with the name of a block in it and what belongs there.

    Args:
        top: The project's folder.
    """
    table, lines = ((top / path).read_text(encoding="utf-8") for path in (README_TABLE, HEADLINE))
    text = ("published", "here", "interval")  # much of it looks like numbers
    called = [read_table(top / path, text) for path in (CLAIMS, CLAIMS_ON_FACTS) if (top / path).exists()]
    yield top / README_PAGE, "results", table
    calibration = read_calibration()
    yield top / README_PAGE, "held out", short_held_out_grid(calibration).markdown
    yield top / README_PAGE, "evidence", short_compared_grid(calibration).markdown
    yield top / VERDICT_PAGE, "held out", held_out_grid(calibration).markdown
    yield top / VERDICT_PAGE, "words", words_grid(calibration).markdown
    yield top / CALIBRATION_PAGE, "goals", goals_grid(calibration).markdown
    yield top / CALIBRATION_PAGE, "evidence", compared_grid(calibration).markdown
    tried = read_table(top / ARCHITECTURES, ("architecture", "works", "why")).fillna("")
    yield top / MODELS_PAGE, "architectures", Grid(list(tried.columns), tried.to_numpy().tolist()).markdown
    yield top / REPRODUCTION, "findings", findings_block(lines)
    yield top / REPRODUCTION, "verdicts", verdicts_block(read_table(top / VERDICTS))
    yield top / REPRODUCTION, "repairs", verdicts_block(read_table(top / REPAIRED))
    yield top / REPRODUCTION, "claims", claims_block(of_runs(called))


def write_pages() -> None:
    """Puts the findings of the run in this folder between the pages' markers.

    Raises:
        InputError: If a page has not its markers.
    """
    for page, name, content in blocks(Path()):
        page.write_text(with_block(page.read_text(encoding="utf-8"), name, content), encoding="utf-8")


if __name__ == "__main__":
    write_pages()
