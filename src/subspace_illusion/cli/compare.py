"""How do two audits, or two runs of the pipeline, differ? Differences of effects on the same pairs, with intervals.

A and B are folders of audits; or runs of the pipeline: experiments (dvc exp show), git revisions, or . for the run in
this folder. What is compared are all subspaces that both have, or one that is named behind a #: component:subspace,
such as my-audit#blocks.20.mlp.hook_post:mine or .#mlp20:trained.

  subspace-illusion compare my-audit another-audit
"""

import argparse
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from subspace_illusion.cli.arguments import count, free_place
from subspace_illusion.errors import InputError
from subspace_illusion.files import atomic_folder, read_table, write_table
from subspace_illusion.measures.effects import keys_by_pair
from subspace_illusion.report.plots.compare import compare_figure
from subspace_illusion.report.words import shown
from subspace_illusion.statistics import Bootstrap, interval, table
from subspace_illusion.subspace.keys import SubspaceKey

HERE = "."
AUDITED = "outcomes.parquet"
"""The table of an audit's folder that is compared."""
SAME_LD = 0.01
"""Clean logit differences of one prompt that differ by no more are of one model: machines round differently."""


class Side(NamedTuple):
    """What is compared: an audit's folder or a run and, if named, one subspace of one component."""

    run: str
    component: str | None
    subspace: str | None


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    parser.add_argument("a", metavar="A")
    parser.add_argument("b", metavar="B")
    parser.add_argument("--resamples", type=count, default=2000, help="bootstrap draws of groups (default: 2000)")
    parser.add_argument("--out", type=Path, metavar="DIR", help="a folder for the table and its picture")


def run(options: argparse.Namespace) -> None:
    """Compares, prints the table, and draws it.

    Raises:
        InputError: If a side is not there, or the two have not the same pairs.
    """
    sides = [parse_side(text) for text in (options.a, options.b)]
    if options.out is not None:
        options.out = free_place(options.out)
        if options.out.exists():
            raise InputError(f"--out {options.out}: it is there already; name a folder that is not")
    outcomes = [outcomes_of(side.run) for side in sides]
    rows = list(differences(sides, outcomes, options.resamples))
    if not rows:
        raise InputError(f"{options.a} and {options.b} have no subspace of one component and name in common")
    found = table(rows)
    if options.out is not None:
        with atomic_folder(options.out) as folder:
            write_table(folder / "differences.csv", found)
            compare_figure(found, options.a, options.b).savefig(folder / "differences.png", dpi=150)
    print(found[["what", "a", "b", "difference", "difference_lo", "difference_hi", "pairs"]].to_string(index=False))
    print("\na and b: effect (logit difference lost); difference: b - a on the same pairs, 95 % over groups")


def parse_side(text: str) -> Side:
    """A side as it was named.

    Raises:
        InputError: If a component is named without a subspace.
    """
    where, mark, which = text.partition("#")
    component, _, subspace = which.partition(":")
    if not mark:
        return Side(text, None, None)
    if not (where and component and subspace):
        raise InputError(f"'{text}' names no subspace: write A#component:subspace, such as .#mlp20:trained")
    return Side(where, component, subspace)


def outcomes_of(run: str) -> dict[str, pd.DataFrame]:
    """What patches did in an audit or a run, pair by pair (``measures.effects.by_pair``), by component.

    Raises:
        InputError: If it, or what it left, is not there.
    """
    if (audited := Path(run) / AUDITED).is_file():
        by_component = read_table(audited).groupby("component", sort=False)
        return {str(name): _own_columns(rows) for name, rows in by_component}
    # Imported here, because only runs of the pipeline need DVC.
    from subspace_illusion.cli.experiment import check_project, is_project
    from subspace_illusion.pipeline.layout import OUTCOMES

    if run != HERE and Path(run).is_dir():
        raise InputError(f"{run} holds no audit: it has no {AUDITED}")
    if not is_project():
        raise InputError(
            f"{run} is neither an audit's folder nor a run of the pipeline, whose folder, with dvc.yaml and conf/ in "
            "it, is not this one"
        )
    check_project()
    if run == HERE:
        files = {path.stem: path.read_bytes() for path in sorted(OUTCOMES.glob("*.parquet"))}
    else:
        files = _of_revision(run, OUTCOMES)
    if not files:
        raise InputError(f"the run {run} has left no {OUTCOMES}: run it whole")
    return {name: pd.read_parquet(BytesIO(content)) for name, content in files.items()}


def _own_columns(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of one component, without the columns of subspaces that only others have."""
    return rows.drop(columns="component").dropna(axis="columns", how="all").reset_index(drop=True)


def _of_revision(revision: str, outcomes: Path) -> dict[str, bytes]:
    """The files of an experiment's or a commit's outcomes, from DVC's cache."""
    from dvc.api import DVCFileSystem
    from dvc.exceptions import DvcException
    from dvc.scm import RevError

    try:
        files = DVCFileSystem(HERE, rev=revision)
        return {Path(path).stem: files.read_bytes(path) for path in files.find(outcomes.as_posix())}
    except (RevError, DvcException, OSError) as error:
        raise InputError(
            f"{revision} is not there: name an audit's folder, an experiment of dvc exp show, or a git revision with "
            f"outcomes in the cache ({str(error).splitlines()[0] if str(error) else type(error).__name__})"
        ) from error


def differences(sides: list[Side], outcomes: list[dict[str, pd.DataFrame]], resamples: int) -> Iterator[dict]:
    """One row a subspace that is compared: both effects and their difference, paired.

    Args:
        sides: A and B.
        outcomes: Theirs, by component.
        resamples: Draws of the bootstrap over groups.

    Raises:
        InputError: If a side is not there, or the two have not the same pairs.
    """
    for one, other in _matched(sides, outcomes):
        a, b = (of_run[key.component] for of_run, key in zip(outcomes, (one, other), strict=True))
        # Numbers alone would be the same for other prompts too: the clean LD tells prompts and models.
        same = a["pair"].equals(b["pair"]) and a["group"].equals(b["group"])
        if not (same and np.allclose(a["ld"], b["ld"], atol=SAME_LD)):
            raise InputError(
                f"{_named(one)} and {_named(other)} were not measured on the same pairs, so their difference means "
                "nothing: run both with the same task, prompts and model"
            )
        bootstrap = Bootstrap.of(a["group"].to_numpy(), resamples, 0)
        effect_a, effect_b = (
            bootstrap.means((side["ld"] - side[key.subspace]).to_numpy(dtype=float))
            for side, key in ((a, one), (b, other))
        )
        what = _named(one) if one == other else f"{_named(one)} and {_named(other)}"
        row = dict(what=what, pairs=len(a), groups=a["group"].nunique())
        yield row | interval("a", effect_a) | interval("b", effect_b) | interval("difference", effect_b - effect_a)


def _matched(sides: list[Side], outcomes: list[dict[str, pd.DataFrame]]) -> Iterator[tuple[SubspaceKey, SubspaceKey]]:
    """What is compared with what."""
    there = [
        {_named(key): key for name, rows in of_run.items() for key in (one.at(name) for one in keys_by_pair(rows))}
        for of_run in outcomes
    ]
    asked = [None if side.component is None else f"{side.component}:{side.subspace}" for side in sides]
    for side, name, has in zip(sides, asked, there, strict=True):
        if name is not None and name not in has:
            raise InputError(f"there is no {name} in the run {side.run}; there are {', '.join(sorted(has))}")
    if asked == [None, None]:
        yield from ((there[0][name], there[1][name]) for name in sorted(there[0].keys() & there[1].keys()))
    else:
        a, b = (name or other for name, other in (asked, asked[::-1]))
        yield there[0][str(a)], there[1][str(b)]


def _named(key: SubspaceKey) -> str:
    """A subspace of a component as it is named on the command line."""
    return f"{key.component}:{shown(key)}"
