"""The page of an audit, from tables made by hand."""

import re
from dataclasses import replace
from html import unescape

import pandas as pd
import pytest

import made
from subspace_illusion.report.audit_page import AuditPage, lines, notebook_view, write_page
from subspace_illusion.report.first_screen import tokens_of, verdict_lines
from subspace_illusion.report.plots.style import plt
from subspace_illusion.subspace.keys import ABLATION, OWN, POOLED, STEERING, TRAINED, SubspaceKey
from subspace_illusion.tasks.as_read import AsRead, FirstRow
from written_pages import long_paragraphs, numbers_without_a_table

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def effects() -> pd.DataFrame:
    parts = [SubspaceKey(TRAINED).of_part(part) for part in (STEERING, ABLATION, OWN)]
    about = dict(component=made.V_MLP, seed=POOLED)
    return pd.concat(
        [made.effects(), pd.DataFrame([about | dict(subspace=key.subspace) | made.patched(0.2) for key in parts])]
    )


PLANTED = pd.DataFrame(
    [
        dict(component=made.V_MLP, place="MLP", kind="writes to the stream", dose=dose, found="trained", effect=0.5,
             estimate=dose, truth=dose + 0.1, large=True, known=dose > 0, twin=False, counts=dose > 0)
        for dose in (0.0, 0.5)
    ]
)  # fmt: skip
REPAIR = pd.DataFrame(
    [dict(component=made.V_MLP, subspace=TRAINED, verdict="faithful") | made.measured(0.1, fldd=0.2, share=0.9)]
)


@pytest.fixture
def page():
    return AuditPage(
        remarks={},
        pairs=made.pairs().assign(base_token=" is", source_token=" is"),
        tables=dict(effects=effects()),
        verdicts=made.verdicts(),
        calibration=made.calibration(),
        by_block=None,
        proof=dict(replay=1e-6, self_patch=0.0, null_part=None, allowed=1e-3, noise=0.0),
        about=dict(model="tiny", pairs=dict(read=["pairs.csv is read as a table of RAVEL"])),
    )


def written(page: AuditPage, folder) -> tuple[str, str]:
    for ending in (".html", ".md"):
        write_page(page, folder / f"audit{ending}")
    return tuple((folder / f"audit{ending}").read_text() for ending in (".html", ".md"))


def test_each_verdict_has_its_evidence_in_a_line_behind_it(page):
    said = list(lines(page))
    assert len(said) == 10
    assert said[-2].startswith(
        "Trained is what DAS, distributed alignment search, found on half of the pairs; mean diff"
    )
    assert said[-1].startswith("Promised is ")
    assert said[4].startswith("mlp8, trained: illusory (of the effect, 0.75 of the clean LD, an estimated 4 % [0, 9]")
    assert said[5].endswith("mediated share 0.04 [0.00, 0.09] (planted cases elsewhere: 32 cases, 89% promised)")
    assert "planted cases elsewhere: 32 cases, 89% promised" in notebook_view(page)


def test_the_page_says_what_verdicts_rest_on_and_what_they_cannot_see(page, tmp_path):
    html, text = written(page, tmp_path)
    assert html.count("<img") == 2
    assert "](audit_figures/verdict.png)" in text
    for each in (html, text):
        words = " ".join(each.split())
        assert "it is sqrt(own * match)" in words
        assert "pairs.csv is read as a table of RAVEL." in words
        assert "planes of two are among the subspaces that were tried" in words
        assert "those of the mediated share are prediction intervals" in words
        assert "Repair: trained again" not in words
        assert "Planted in this component" not in words


def test_the_first_screen_has_a_line_a_verdict_and_then_a_prompt_with_its_tokens(page, tmp_path):
    row = FirstRow(["The", " keys", " to", " it"], 1, " are", " is")
    html, text = written(replace(page, reading=AsRead(None, row, ["a | is read"])), tmp_path)
    start, read = html[: html.index("What was read")], html[html.index("What was read") :]
    for verdict, line in zip(page.verdicts.values(), verdict_lines(page.verdicts), strict=True):
        assert f'<tr class="{verdict.verdict}"><td>{line.name}<small>{line.component}</small>' in start
        assert line.share in start
        assert line.why in unescape(start)
    assert not re.search(r"\d\.\d", " ".join(line.why for line in verdict_lines(page.verdicts)))
    assert '<span>The</span><mark class="patched"> keys</mark><sub>patched</sub><span> to</span>' in read
    assert '<mark class="END"> it</mark><sub>END</sub>' in read
    assert "The**[keys]** (patched) to**[it]** (END)" in text
    assert "Note: a | is read." in read


def test_of_a_long_prompt_what_is_far_from_the_marks_is_left_out():
    tokens = tokens_of(FirstRow([f" {place}" for place in range(300)], 150, " a", " b"))
    assert [token.text for token in tokens].count("…") == 2
    assert {token.text: list(token.marks) for token in tokens if token.marks} == {" 150": ["patched"], " 299": ["END"]}
    span = tokens_of(FirstRow(["a", " b", " c", " d"], 2, [" x", " y"], " z", span=2))
    assert [token.text for token in span if "patched" in token.marks] == [" b", " c"]
    (only,) = tokens_of(FirstRow(["a\n"], 0, " a", " b"))
    assert (only.text, only.marks) == ("a⏎", ["patched", "END"])


def test_no_paragraph_is_long_and_every_number_has_a_table(page, tmp_path):
    html, _ = written(page, tmp_path)
    assert long_paragraphs(html) == []
    assert numbers_without_a_table(html) == []


def test_what_is_done_along_a_subspace_is_in_the_table_of_effects(page, tmp_path):
    _, text = written(page, tmp_path)
    rows = [
        line.split(" | ")[1] for line in text[text.index("## What patching did") :].splitlines() if "| mlp8 " in line
    ]
    assert rows[:6] == [
        "whole component", "trained", "own difference", "lent by the null part", "row part", "null part"
    ]  # fmt: skip
    assert rows[6:] == ["mean ablation", "steering", "mean difference"]


def test_repairs_and_what_was_planted_in_the_component_are_shown(page, tmp_path):
    shown = replace(page, tables=dict(page.tables, planted=PLANTED, repair=REPAIR))
    _, text = written(shown, tmp_path)
    assert "## Repair: trained again within what acts, where a subspace is illusory" in text
    assert "| mlp8 | trained | 0.20 [0.10, 0.30] | 0.90 [0.80, 1.00] | faithful |" in text
    planted = text[text.index("## Planted in this component") :].splitlines()
    assert planted[2] == (
        "| component | place | kind of place | dose | found by | share of the clean LD | mediated share, estimated | "
        "true | effect large enough | truth known | counts |"
    )
    assert planted[4:6] == [
        "| mlp8 | MLP | writes to the stream | 0.000 | trained | 0.500 | 0.000 | 0.100 | yes | no | no |",
        "| mlp8 | MLP | writes to the stream | 0.500 | trained | 0.500 | 0.500 | 0.600 | yes | yes | yes |",
    ]
