"""Puts the findings of the last run into the README and the page on the reproduction.

Usage: python -m subspace_illusion.pipeline.readme
"""

from subspace_illusion.pipeline.layout import HEADLINE, README_PAGE, README_TABLE, REPRODUCTION
from subspace_illusion.report.readme import findings_block, with_block


def write_pages() -> None:
    """Puts the findings of the run in this folder between the pages' markers.

    Raises:
        InputError: If a page has not its markers.
    """
    table, lines = (path.read_text(encoding="utf-8") for path in (README_TABLE, HEADLINE))
    for page, name, content in ((README_PAGE, "results", table), (REPRODUCTION, "findings", findings_block(lines))):
        page.write_text(with_block(page.read_text(encoding="utf-8"), name, content), encoding="utf-8")


if __name__ == "__main__":
    write_pages()
