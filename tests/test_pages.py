"""README and docs/: short where they should be, true where that can be tested, and nothing said twice."""

import re
import shlex
import subprocess
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from subspace_illusion.cli.main import parser
from subspace_illusion.pipeline.compose import compose
from subspace_illusion.pipeline.readme import blocks as made_blocks
from subspace_illusion.report.readme import with_block

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [README, *DOCS, ROOT / "examples/probe/README.md", ROOT / "data/own/README.md"]
MOST_WORDS, MEAN_SENTENCE = 1300, 18
SAME_WORDS = 12
"""Two pages that have so many words in a row in common say something twice."""


def named(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path) -> list[str]:
    """The fenced blocks of a page."""
    return re.findall(r"^```\w*\n(.*?)^```$", text_of(page), re.MULTILINE | re.DOTALL)


def rendered(page: Path) -> str:
    """What one reads of a page: no comments, no targets of links, no marks."""
    text = re.sub(r"<!--.*?-->", "", text_of(page), flags=re.DOTALL)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    return re.sub(r"^```\w*$|[*`|#]", " ", text, flags=re.MULTILINE)


def prose(page: Path) -> str:
    """A page without its blocks, tables and pictures."""
    text = re.sub(r"^```\w*\n.*?^```$", "", text_of(page), flags=re.MULTILINE | re.DOTALL)
    return "\n".join(line for line in text.splitlines() if not line.startswith(("|", "#", "!", "<!--")))


def words(text: str) -> list[str]:
    return [word for word in text.split() if re.search(r"\w", word)]


def sentences(text: str) -> list[str]:
    """The sentences of some prose; a paragraph's end is a sentence's end."""
    paragraphs = re.split(r"\n\s*\n|^- ", text, flags=re.MULTILINE)
    return [
        sentence for paragraph in paragraphs for sentence in re.split(r"(?<=[.?!])\s+", paragraph) if words(sentence)
    ]


def test_the_readme_is_short():
    assert len(words(rendered(README))) <= MOST_WORDS


def test_the_readmes_sentences_are_short():
    found = sentences(prose(README))
    assert len(found) > 30
    assert sum(len(words(sentence)) for sentence in found) / len(found) < MEAN_SENTENCE


def anchors(page: Path) -> set[str]:
    """What a link into a page may name: its headings, as GitHub writes them."""
    text = re.sub(r"^```\w*\n.*?^```$", "", text_of(page), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ +(.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", text_of(page)):
        if not target.startswith("https://"):
            path, _, anchor = unquote(target).partition("#")
            there = (page.parent / path).resolve() if path else page
            assert there.exists(), target
            assert there.is_relative_to(ROOT), target
            assert not anchor or anchor in anchors(there), target


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_lists_are_lists_on_the_site_too(page):
    """Its Markdown takes four spaces for what belongs to an item, and two lists in a row for one."""
    assert not re.search(r"^ {1,3}```", text_of(page), re.MULTILINE)
    assert not re.search(r"^- .*\n(?: +.*\n)*\n1\. ", text_of(page), re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_results_that_are_named_are_there(page):
    for path in re.findall(r"`((?:results|stages|tests|benchmarks)/[\w./]+)`", text_of(page)):
        assert (ROOT / path).exists(), path


def test_every_page_is_listed_in_the_readme_and_lists_its_parts():
    for page in DOCS:
        assert f"(docs/{page.name})" in text_of(README)
        parts = re.findall(r"^## (.+)$", re.sub(r"```.*?```", "", text_of(page), flags=re.DOTALL), re.MULTILINE)
        assert re.findall(r"^- \[(.+)\]\(#", text_of(page), re.MULTILINE) == parts, page.name


def shown_commands() -> Iterator[Any]:
    """The commands of this project that stand in the pages' blocks."""
    for page in PAGES:
        for block in blocks(page):
            for line in block.replace("\\\n", " ").splitlines():
                if line.startswith("subspace-illusion "):
                    yield pytest.param(line, id=f"{named(page)}: {line}")


@pytest.mark.parametrize("line", shown_commands())
def test_commands_that_are_shown_are_understood(line):
    assert parser().parse_args(shlex.split(line, comments=True)[1:]).run


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_parameters_that_are_named_are_there(page, monkeypatch):
    monkeypatch.chdir(ROOT)
    there = compose() | dict(task=compose("task=pairs")["task"])  # which has all that other tasks have
    text = text_of(page)
    keys = set(re.findall(r"-S '?([\w.]+)=", text))
    spans = {span for span in re.findall(r"`([a-z_]+\.[a-z_]+)`", text) if span.partition(".")[0] in there}
    keys |= {span for span in spans if not span.endswith((".json", ".csv", ".parquet"))}
    for key in keys:
        section, _, name = key.partition(".")
        assert section in there or (ROOT / "conf" / section).is_dir(), key
        assert not name or name in there[section], key


def runs(page: Path) -> set[str]:
    """Every run of ``SAME_WORDS`` words in a page's prose and tables; what ``make readme`` puts there is no prose."""
    text = re.sub(r"^<!-- (\w+) -->$.*?^<!-- /\1 -->$", "", text_of(page), flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"^```\w*\n.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"\]\([^)]*\)", "]", text)
    found = re.findall(r"\w+", text.lower())
    return {" ".join(found[at : at + SAME_WORDS]) for at in range(len(found) - SAME_WORDS + 1)}


def test_no_page_repeats_another():
    said = {named(page): runs(page) for page in PAGES}
    for one, other in combinations(said, 2):
        shared = said[one] & said[other]
        assert not shared, (one, other)


@pytest.mark.parametrize(
    ("page", "name", "content"), [pytest.param(*block, id=block[1]) for block in made_blocks(ROOT)]
)
def test_the_findings_of_the_pages_are_this_runs(page, name, content):
    assert with_block(text_of(page), name, content) == text_of(page)


def test_the_readmes_answer_is_the_examples():
    _, _, rest = text_of(README).partition("<!-- example -->\n```\n")
    quoted, closed, _ = rest.partition("```\n<!-- /example -->")
    answer = (ROOT / "examples/probe/answer.txt").read_text(encoding="utf-8").splitlines()
    assert closed
    assert len(quoted.splitlines()) >= 2
    for line in quoted.splitlines():
        assert any(real == line or real.startswith(line.removesuffix("...")) for real in answer), line


def test_nothing_cites_what_is_not_in_the_repository():
    files = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    for name in files:
        if name.endswith((".py", ".md", ".yaml", ".toml")) and name != named(Path(__file__)) and (ROOT / name).exists():
            text = text_of(ROOT / name)
            assert not re.search(r"\bdesign\.md|\(design\b|README, \"", text), name
