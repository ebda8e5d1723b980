"""The report: one HTML file that opens without a network, pictures inside, and the same in Markdown.

The same results give the same bytes: what differs from run to run, such as times, lies beside it.
"""

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from subspace_illusion.report.plots.style import plt
from subspace_illusion.report.section import Grid, Picture, Section


@dataclass(frozen=True)
class Report:
    """What the report says, in order.

    Attributes:
        title: Its title.
        question: What was asked.
        answer: The answer in one paragraph.
        rules: How verdicts come about.
        verdicts: The table of verdicts.
        verdict: The estimates as a picture.
        evidence: The figures behind them.
        held_out: What is reached on models that were left out.
        compared: The same for whatever else a verdict could rest on.
        sure: What a verdict assumes and cannot see, as headings with a paragraph each.
        comparison: The table of published figures and this run's.
        sections: One an experiment.
        parameters: The parameters as they stand in their file.
        timings: Where the times are noted, which are no part of the report.
        about: Tables about the run (versions, hashes), by heading.
    """

    title: str
    question: str
    answer: str
    rules: str
    verdicts: Grid
    verdict: Picture
    evidence: Grid
    held_out: Grid
    compared: Grid
    sure: Sequence[tuple[str, str]]
    comparison: Grid
    sections: Sequence[Section]
    parameters: str
    timings: str
    about: Mapping[str, Grid]


def draw(sections: Iterable[Section], folder: Path, dpi: int) -> list[Section]:
    """Draws the pictures of every section into a folder, ``<name>.png``, and closes them.

    Raises:
        ValueError: If two pictures have one name.
    """
    drawn = []
    for section in sections:
        for picture in section.pictures:
            draw_picture(picture, folder, dpi)
        drawn.append(section)
    return drawn


def draw_picture(picture: Picture, folder: Path, dpi: int) -> None:
    """Draws one picture into a folder, ``<name>.png``, and closes it.

    Raises:
        ValueError: If there is one of that name.
    """
    path = folder / f"{picture.name}.png"
    if path.exists():
        raise ValueError(f"two pictures are called {picture.name}")
    picture.figure.savefig(path, dpi=dpi, metadata={"Software": None})  # which would name a version
    plt.close(picture.figure)


def render(report: Report, pictures: Path, figures: str) -> tuple[str, str]:
    """The report as HTML and as Markdown.

    Args:
        report: What it says.
        pictures: The folder with the pictures; in the HTML they are inside.
        figures: Where the Markdown finds them, relative to itself.
    """
    return fill_in("report", pictures, figures, report=report)


def fill_in(template: str, pictures: Path, figures: str, **said: Any) -> tuple[str, str]:
    """A page as HTML and as Markdown.

    Args:
        template: Name of its templates, without the ending.
        pictures: The folder with the pictures; in the HTML they are inside.
        figures: Where the Markdown finds them, relative to itself.
        said: What the templates say.
    """
    html, plain = _templates(autoescape=True), _templates(autoescape=False)
    plain.filters["cell"] = lambda text: str(text).replace("|", "\\|").replace("\n", " ")
    html.filters["png"] = lambda picture: base64.b64encode((pictures / f"{picture.name}.png").read_bytes()).decode()
    return (
        html.get_template(f"{template}.html").render(**said),
        plain.get_template(f"{template}.md").render(figures=figures, **said),
    )


def fragment(template: str, **said: Any) -> str:
    """A piece of HTML without pictures, to stand in somebody else's page."""
    return str(_templates(autoescape=True).get_template(template).render(**said))


def _templates(autoescape: bool) -> Any:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    return Environment(
        loader=PackageLoader("subspace_illusion.report"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=autoescape,
    )
