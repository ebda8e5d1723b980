"""The report's contents: the answer, the verdicts, the comparison, and the sections of all experiments in order."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from itertools import chain
from pathlib import Path

import pandas as pd

from subspace_illusion.report.comparison import NOT_RUN
from subspace_illusion.report.findings.finding import Finding
from subspace_illusion.report.first_screen import QUESTION, TITLE, names_meant, verdict_lines
from subspace_illusion.report.page import Report, draw, draw_picture
from subspace_illusion.report.results import Results
from subspace_illusion.report.section import Grid, Section
from subspace_illusion.report.sections.calibration import compared_grid, held_out_grid
from subspace_illusion.report.sections.claims import section as claims
from subspace_illusion.report.sections.compare_mlps import section as compare_mlps
from subspace_illusion.report.sections.controls import section as controls
from subspace_illusion.report.sections.decompose import section as decompose
from subspace_illusion.report.sections.dormant import section as dormant
from subspace_illusion.report.sections.evaluate import section as evaluate
from subspace_illusion.report.sections.facts import section as facts
from subspace_illusion.report.sections.find_readers import section as find_readers
from subspace_illusion.report.sections.localise import section as localise
from subspace_illusion.report.sections.neuron_sweep import section as neuron_sweep
from subspace_illusion.report.sections.off_distribution import section as off_distribution
from subspace_illusion.report.sections.prompts import read_row
from subspace_illusion.report.sections.prompts import section as prompts
from subspace_illusion.report.sections.random_mlp import section as random_mlp
from subspace_illusion.report.sections.read_signs import section as read_signs
from subspace_illusion.report.sections.recover_directions import section as recover_directions
from subspace_illusion.report.sections.repair import section as repair
from subspace_illusion.report.sections.split_directions import section as split_directions
from subspace_illusion.report.sections.sure import sure
from subspace_illusion.report.sections.tell_names import section as tell_names
from subspace_illusion.report.sections.toy_example import section as toy_example
from subspace_illusion.report.sections.trace_paths import section as trace_paths
from subspace_illusion.report.sections.train_das import section as train_das
from subspace_illusion.report.sections.verdict import (
    answer,
    evidence_grid,
    levels_grid,
    limits_grid,
    planted_picture,
    rules,
    verdict_picture,
)
from subspace_illusion.report.words import place, variable_of
from subspace_illusion.subspace.keys import TRAINED, SubspaceKey
from subspace_illusion.verdict.calibration import Calibration
from subspace_illusion.verdict.judge import Verdict
from subspace_illusion.verdict.rule import LIMITS, Limits

LIBRARIES = ("torch", "transformers", "transformer-lens", "numpy", "pandas", "scikit-learn", "dvc")

EXPERIMENTS: tuple[Callable[[Results], Iterable[Section]], ...] = (
    toy_example,  # E0
    prompts,  # E1
    localise,  # E2
    train_das,  # E3, E4
    evaluate,  # E3, E4, E6
    find_readers,  # E3
    trace_paths,
    split_directions,
    tell_names,
    decompose,  # E4, E5
    dormant,  # E7
    random_mlp,  # E8
    recover_directions,  # E9
    read_signs,  # E10
    compare_mlps,
    neuron_sweep,  # E11
    controls,  # E12
    repair,  # E13
    off_distribution,  # E15
    facts,  # E16
)


def contents(results: Results) -> Iterator[Section]:
    """Every section, one after the other, so that only one section's pictures need be open at a time; experiments that
    were left out have none."""
    for section in EXPERIMENTS:
        yield from section(results)


def whole_report(
    results: Results,
    found: Sequence[Finding],
    verdicts: Mapping[SubspaceKey, Verdict],
    calibration: Calibration,
    comparison: pd.DataFrame,
    called: pd.DataFrame,
    *,
    smallest_effect: float,
    parameters: str,
    hashes: Mapping[str, str],
    timings: str,
    figures: Path,
    dpi: int,
    limits: Limits = LIMITS,
) -> Report:
    """Everything that the report says; its pictures are drawn on the way.

    Args:
        results: The results.
        found: The findings.
        verdicts: By component and subspace.
        calibration: What the planted cases say.
        comparison: What ``compare`` gives.
        called: What ``claims_table`` gives.
        smallest_effect: Share of the clean LD below which no effect is judged.
        parameters: The parameters as they stand in their file.
        hashes: sha256 of the model's files, by name.
        timings: Name of the file that holds the times.
        figures: The folder to draw into.
        dpi: Of the pictures.
        limits: Where the mediated share speaks.
    """
    sections = draw(chain(claims(called), contents(results)), figures, dpi)
    verdict, planted = verdict_picture(verdicts, limits), planted_picture(calibration, limits)
    for picture in (verdict, planted):
        draw_picture(picture, figures, dpi)
    roles = {SubspaceKey(TRAINED, component=component): role for role, component in results.roles.items()}
    return Report(
        title=TITLE,
        question=QUESTION,
        run=_run(results),
        lines=verdict_lines(verdicts, roles),
        meant=names_meant(verdicts),
        verdict=verdict,
        row=read_row(results),
        answer=answer(results, found),
        rules=rules(calibration, smallest_effect, limits),
        limits=[limits_grid(smallest_effect, limits), levels_grid(calibration)],
        planted=planted,
        held_out=held_out_grid(calibration),
        compared=compared_grid(calibration),
        sure=list(sure(results, verdicts, calibration)),
        evidence=evidence_grid(verdicts),
        comparison=Grid.of(comparison[comparison["this run"] != NOT_RUN], {name: name for name in comparison.columns}),
        sections=sections,
        parameters=parameters,
        timings=timings,
        about={
            "Versions": Grid(["library", "version"], [[name, version(name)] for name in LIBRARIES]),
            "Model files": Grid(["file", "sha256"], [[name, digest] for name, digest in hashes.items()]),
        },
    )


def _run(results: Results) -> str:
    """What was asked, of whom and on how much."""
    measured = results.table("effects.csv", text=("seed",)).iloc[0]
    return (
        f"Asked of {results.model} for {variable_of(results.task)} at {place(results.at_end)}; effects are measured on "
        f"{measured['pairs']} held-out pairs of {measured['groups']} groups."
    )
