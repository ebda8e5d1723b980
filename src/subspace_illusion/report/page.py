"""The report: one HTML file that opens without a network, pictures inside, and the same in Markdown.

The same results give the same bytes: what differs from run to run, such as times, lies beside it.
"""

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from subspace_illusion.report.first_screen import Token, VerdictLine, tokens_of
from subspace_illusion.report.paragraphs import paragraphs
from subspace_illusion.report.plots.style import plt
from subspace_illusion.report.section import Grid, Picture, Section
from subspace_illusion.tasks.as_read import FirstRow


@dataclass(frozen=True)
class Report:
    """What the report says, in order.

    Attributes:
        title: Its title.
        question: What was asked, in one sentence.
        run: Model, task, token and pairs, in one sentence.
        lines: A verdict a line.
        meant: What names in these lines mean.
        verdict: The estimates as a picture.
        row: A prompt as it was read; ``None`` without a tokenizer.
        answer: What patching did, in sentences.
        evidence: The figures behind the verdicts.
        rules: How verdicts come about.
        limits: The figures of the rule, and what intervals promise.
        planted: What estimates meant in planted cases, as a picture.
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
    run: str
    lines: Sequence[VerdictLine]
    meant: str
    verdict: Picture
    row: FirstRow | None
    answer: str
    evidence: Grid
    rules: str
    limits: Sequence[Grid]
    planted: Picture
    held_out: Grid
    compared: Grid
    sure: Sequence[tuple[str, str]]
    comparison: Grid
    sections: Sequence[Section]
    parameters: str
    timings: str
    about: Mapping[str, Grid]

    @property
    def tokens(self) -> list[Token]:
        """The tokens of the prompt."""
        return [] if self.row is None else tokens_of(self.row)


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

    environment = Environment(
        loader=PackageLoader("subspace_illusion.report"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=autoescape,
    )
    environment.filters["paragraphs"] = paragraphs
    return environment
