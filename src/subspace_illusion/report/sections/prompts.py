"""E1: the prompts."""

from collections.abc import Iterator

from subspace_illusion.files import DATA, PROMPTS
from subspace_illusion.report.results import Results
from subspace_illusion.report.section import Grid, Section
from subspace_illusion.tasks.table import SPLITS


def section(results: Results) -> Iterator[Section]:
    """How many prompts there are, and one of each pattern."""
    prompts = results.large(PROMPTS.relative_to(DATA).as_posix())
    train, test = (prompts[prompts["split"] == split] for split in SPLITS)
    yield Section(
        "E1  Prompts",
        "Pairs of prompts that differ only in which name is repeated; train and test share no template, name, object "
        "or place.",
        f"{len(train)} training and {len(test)} held-out prompts. One held-out prompt of each pattern; the answer is "
        "IO.",
        grids=[Grid.of(test.drop_duplicates("pattern"), dict(pattern="pattern", text="prompt", io="IO", s="S"))],
    )
