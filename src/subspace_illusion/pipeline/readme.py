"""Puts the table of the last run into the README.

Usage: python -m subspace_illusion.pipeline.readme
"""

from subspace_illusion.pipeline.layout import README, README_TABLE
from subspace_illusion.report.readme import with_table

if __name__ == "__main__":
    written = with_table(README.read_text(encoding="utf-8"), README_TABLE.read_text(encoding="utf-8"))
    README.write_text(written, encoding="utf-8")
