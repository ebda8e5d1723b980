"""The claims of the post and the paper's figures, each with a call."""

from collections.abc import Iterator

import pandas as pd

from subspace_illusion.report.claims import NOT_ASKED, RULES, counts
from subspace_illusion.report.section import Grid, Section

HEADINGS = {name: name for name in ("source", "section", "claim", "published", "here", "interval", "call", "rule")}


def section(called: pd.DataFrame) -> Iterator[Section]:
    """Every claim that this run could ask; nothing where it could ask none.

    Args:
        called: As ``claims_table`` gives it.
    """
    asked = called[called["call"] != NOT_ASKED]
    if len(asked):
        numbers = [[str(call), str(number)] for call, number in asked["call"].value_counts().items()]
        yield Section(
            "The claims one by one",
            "Which claims of the post, and which of the paper's figures, does this model bear out?",
            f"{counts(called)}.",
            "The calls are made by rule. Claims that cannot be asked in this run are left out.",
            [],
            [
                Grid(["call", "claims"], [*numbers, ["all", str(len(asked))]]),
                Grid.of(asked, HEADINGS),
                Grid(["rule", "what it calls so"], [[name, words] for name, words in RULES.items()]),
            ],
        )
