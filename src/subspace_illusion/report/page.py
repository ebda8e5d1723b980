"""The report: one HTML file that opens without a network, pictures inside, and the same in Markdown."""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from subspace_illusion.report.sections import Grid, Section


@dataclass(frozen=True)
class Report:
    """What the report says, in order.

    Attributes:
        title: Its title.
        question: What was asked.
        answer: The answer in one paragraph.
        rules: How verdicts come about.
        verdicts: The table of verdicts.
        evidence: The figures behind them.
        comparison: The table of published figures and this run's.
        sections: One an experiment.
        parameters: The parameters as they stand in their file.
        about: Tables about the run (versions, hashes, times, machine), by heading.
    """

    title: str
    question: str
    answer: str
    rules: str
    verdicts: Grid
    evidence: Grid
    comparison: Grid
    sections: Sequence[Section]
    parameters: str
    about: Mapping[str, Grid]


def render(report: Report, pictures: Mapping[str, bytes], figures: str) -> tuple[str, str]:
    """The report as HTML and as Markdown.

    Args:
        report: What it says.
        pictures: PNG files by name; in the HTML they are inside.
        figures: Where the Markdown finds them, relative to itself.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("subspace_illusion.report")
    html = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    plain = Environment(
        loader=loader, autoescape=False, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    plain.filters["cell"] = lambda text: str(text).replace("|", "\\|").replace("\n", " ")
    encoded = {name: base64.b64encode(data).decode("ascii") for name, data in pictures.items()}
    return (
        html.get_template("report.html").render(report=report, pictures=encoded),
        plain.get_template("report.md").render(report=report, figures=figures),
    )
