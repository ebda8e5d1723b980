import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from subspace_illusion.report.first_screen import VerdictLine
from subspace_illusion.report.page import Report, draw, draw_picture, render
from subspace_illusion.report.plots.style import panels, plt
from subspace_illusion.report.section import Grid, Picture, Section
from subspace_illusion.tasks.as_read import FirstRow


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def picture(name: str, alt: str = "a line & what it shows") -> Picture:
    with panels(1, 2, 1) as (figure, (axis,)):
        axis.plot([0, 1])
    return Picture(name, alt, figure)


def section(title: str, *names: str) -> Section:
    return Section(
        title, "Asks?", "Answers.", "Reads | so.", [picture(name) for name in names], [Grid(["a", "b|c"], [["1", "2"]])]
    )


@pytest.fixture
def report():
    grid = Grid(["component", "verdict"], [["mlp8", "illusory"]])
    return Report(
        title="A title",
        question="What <is> asked?",
        run="Asked of <one>.",
        lines=[VerdictLine("trained", "mlp8", "illusory", "0.04 [0.00, 0.09]", "Because.")],
        verdict=picture("verdict"),
        row=FirstRow(["When", " Anna", " to"], 1, " Anna", " Paul"),
        meant="Trained is so.",
        answer="This.",
        evidence=grid,
        rules="Rules.",
        limits=[grid],
        planted=picture("planted"),
        held_out=Grid(["model left out"], [["held-out"]]),
        compared=Grid(["evidence"], [["compared"]]),
        sure=[("The unit", "It is <one>.")],
        comparison=grid,
        sections=[section("E0  One", "one"), section("E1  Two")],
        parameters="das:\n  lr: 0.02\n",
        timings="timings.json",
        about={"Versions": Grid(["library", "version"], [["torch", "2"]])},
    )


class Tags(HTMLParser):
    def __init__(self, page: str):
        super().__init__()
        self.sources: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        of = dict(attrs)
        self.sources += [of["src"]] if "src" in of else []
        self.ids += [of["id"]] if "id" in of else []
        self.links += [of["href"]] if "href" in of else []


def pages(report: Report, folder) -> tuple[str, str]:
    draw(report.sections, folder, 50)
    draw_picture(report.verdict, folder, 50)
    draw_picture(report.planted, folder, 50)
    return render(report, folder, "figures")


def test_every_picture_is_drawn_closed_and_in_the_page(report, tmp_path):
    html, text = pages(report, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.png", "planted.png", "verdict.png"]
    drawn = [report.verdict, report.planted, *(picture for each in report.sections for picture in each.pictures)]
    assert not any(plt.fignum_exists(picture.figure.number) for picture in drawn)
    tags = Tags(html)
    assert len(tags.sources) == 3
    assert all(source.startswith("data:image/png;base64,iVBOR") for source in tags.sources)
    assert "![a line & what it shows](figures/one.png)" in text
    assert "![a line & what it shows](figures/verdict.png)" in text


def test_the_page_links_to_its_own_parts_and_to_nothing_else(report, tmp_path):
    html, _ = pages(report, tmp_path)
    tags = Tags(html)
    assert {link.removeprefix("#") for link in tags.links} <= set(tags.ids)
    assert "http" not in re.sub(r'src="[^"]*"', "", html)
    assert "What &lt;is&gt; asked?" in html


def test_the_same_results_give_the_same_bytes_and_times_lie_beside(report, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    sections = [section("E0  One", "one"), section("E1  Two")]
    again = replace(report, sections=sections, verdict=picture("verdict"), planted=picture("planted"))
    first, second = pages(report, tmp_path / "a"), pages(again, tmp_path / "b")
    assert first == second
    assert all("noted beside this file, in timings.json" in page for page in first)


def test_two_pictures_of_one_name_are_no_picture(report, tmp_path):
    with pytest.raises(ValueError, match="two pictures are called one"):
        draw([section("E0", "one"), section("E1", "one")], tmp_path, 50)


def test_a_comparison_with_nothing_to_compare_is_left_out(report, tmp_path):
    for page in pages(replace(report, comparison=Grid(["quantity"], [])), tmp_path):
        assert "Beside the post" not in page
        assert 'href="#comparison"' not in page


def test_markdown_tables_keep_their_columns(report, tmp_path):
    _, text = pages(report, tmp_path)
    assert "| a | b\\|c |" in text
    assert "| --- | --- |" in text


def test_how_good_the_estimate_is_is_told_by_both_tables(report, tmp_path):
    for page in pages(report, tmp_path):
        sure = page[page.index("How sure is this? (E14)") : page.index("It is ")]
        assert sure.index("held-out") < sure.index("compared")


def test_every_interval_is_labelled(report, tmp_path):
    for page in pages(report, tmp_path):
        words = " ".join(page.split())
        assert "95 % bootstrap over groups" in words
        assert "Training seeds are held fixed" in words
        assert "Those of the mediated share are prediction intervals" in words
        assert "five or more random draws" in words
        assert "standard deviation" not in words
