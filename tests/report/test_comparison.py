from pathlib import Path

import pandas as pd
import pytest

import made
from subspace_illusion.files import read_table
from subspace_illusion.pipeline.layout import PUBLISHED, PUBLISHED_FACTS
from subspace_illusion.report.comparison import COMPARISON_COLUMNS as OF_COMPARISON
from subspace_illusion.report.comparison import agree, all_published, comparable, compare
from subspace_illusion.report.findings.every import findings
from subspace_illusion.report.findings.finding import Finding
from subspace_illusion.statistics import Estimate

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("here", "theirs", "about", "sense"),
    [
        (Estimate(0.5, 0.4, 0.6), (0.55, 0.55), False, "compatible: within the interval"),
        (Estimate(0.5, 0.49, 0.51), (0.55, 0.55), False, "0.91 times as large"),
        (Estimate(0.5, 0.49, 0.51), (0.55, 0.55), True, "agrees: within a quarter"),
        (Estimate(0.5), (0.55, 0.55), False, "0.91 times as large"),
        (Estimate(0.35, 0.34, 0.36), (0.3, 0.4), True, "agrees: within the published range"),
        (Estimate(0.45, 0.38, 0.52), (0.3, 0.4), True, "compatible: within the interval"),
        (Estimate(3.0, 2.9, 3.1), (1.0, 1.0), True, "3.00 times as large"),
        (Estimate(-3.0, -3.1, -2.9), (1.0, 1.0), False, "differs: opposite sign"),
        (Estimate(0.05, 0.04, 0.06), (1.0, 1.0), False, "differs: under a tenth of it"),
        (Estimate(0.0), (0.0, 0.0), False, "agrees: equal"),
        (Estimate(0.2), (0.0, 0.0), False, "differs"),
    ],
)
def test_the_senses_of_agreement(here, theirs, about, sense):
    assert agree(here, theirs, about=about) == sense


def test_two_shares_next_to_nothing_agree():
    assert agree(Estimate(-0.01, -0.02, -0.005), (0.0, 0.0), is_share=True) == "agrees: both under 5%"
    assert agree(Estimate(0.027, 0.02, 0.03), (0.136, 0.136), is_share=True) == "0.20 times as large"


def test_a_spread_that_is_no_bootstrap_interval_is_no_agreement():
    """R2 of 0.48 with blocks from 0.3 to 0.7 does not agree with 0.71 because some standard deviations overlap."""
    assert agree(Estimate.over([0.26, 0.48, 0.70]), (0.71, 0.71)) == "0.68 times as large"


COMPARISON_COLUMNS = ["key", "source", "quantity", "low", "high", "about", "measure", "note"]
SHARED = pd.DataFrame(
    [
        ("clean.logit_diff", "paper", "LD: clean", 4.0, 4.0, "", "clean", ""),
        ("some.logit_diff", "paper", "LD: some", 1.0, 1.0, "", "ld", "table 1"),
        ("same.effect", "post", "effect", -0.4, -0.4, "about", "effect", "it helps"),
        ("other.effect", "post", "other effect", -0.4, -0.4, "about", "effect", ""),
        ("no.effect", "post", "no effect", -0.4, -0.4, "about", "effect", ""),
        ("reading", "post", "accuracy", 0.9, 0.9, "", "accuracy", ""),
        ("never.measured", "post", "never", 0.3, 0.4, "about", "plain", ""),
    ],
    columns=COMPARISON_COLUMNS,
)
FOUND = [
    Finding("clean.logit_diff", "LD", Estimate(8.0, 7.9, 8.1)),
    # Of other pairs than the clean LD above: a clean LD of 6, of which 4.8 are lost.
    Finding("some.logit_diff", "LD", Estimate(1.2, 1.1, 1.3), share=Estimate(0.8, 0.7, 0.9)),
    Finding("same.effect", "effect", Estimate(-0.8, -0.9, -0.7)),
    Finding("other.effect", "effect", Estimate(0.8, 0.7, 0.9)),
    Finding("no.effect", "effect", Estimate(0.1, -0.1, 0.3)),
    Finding("reading", "accuracy", Estimate.over([0.55, 0.65])),
]


@pytest.fixture
def rows():
    return compare(SHARED, FOUND, is_gpt2=False).set_index("quantity")


def test_logit_differences_are_compared_as_shares_of_the_clean_ld_of_their_own_pairs(rows):
    """By the clean LD of other pairs 85 % would seem to be lost."""
    assert rows.loc["LD: some", "published"] == "1 (table 1); 75.0 % of clean LD lost"
    assert rows.loc["LD: some", "interval"] == "1.10 to 1.30; 80.0 % of clean LD lost"
    assert rows.loc["LD: some", "agreement"] == "compatible: within the interval"


def test_what_has_no_clean_ld_beside_it_is_compared_by_sign(rows):
    assert rows.loc["LD: clean", "agreement"] == "other scale"
    assert rows.loc["effect", "agreement"] == "other scale; same sign"
    assert rows.loc["other effect", "agreement"] == "other scale; opposite sign"
    assert rows.loc["no effect", "agreement"] == "other scale; no sign to speak of here"
    assert rows.loc["effect", "published"] == "about -0.4 (it helps)"


def test_accuracies_are_compared_above_chance(rows):
    assert rows.loc["accuracy", "agreement"] == "0.25 times as large"
    assert rows.loc["accuracy", "interval"] == "seeds: 0.55, 0.65"


def test_what_has_not_been_run_says_so(rows):
    gpt2 = compare(SHARED, FOUND, is_gpt2=True).set_index("quantity")
    assert rows.loc["never", ["this run", "gpt2 here", "agreement"]].tolist() == ["not run", "not run", ""]
    assert set(rows["gpt2 here"]) == {"not run"}
    assert gpt2.loc["LD: some", "gpt2 here"] == "1.200"
    assert gpt2.loc["never", "gpt2 here"] == "not run"


def test_on_gpt2_the_scale_is_the_published_one():
    gpt2 = compare(SHARED, FOUND, is_gpt2=True).set_index("quantity")
    assert gpt2.loc["effect", "agreement"] == "2.00 times as large"
    assert gpt2.loc["LD: clean", "agreement"] == "2.00 times as large"


def test_another_tasks_figures_are_held_against_what_depends_on_no_task():
    published = read_table(PUBLISHED)
    assert comparable(published, "ioi", FOUND) is published
    on_text = [Finding("recovery.r2", "R2", Estimate(0.5)), *FOUND]
    assert comparable(published, "agreement", on_text)["key"].tolist() == ["recovery.r2"]
    assert compare(comparable(published, "agreement", on_text), on_text, is_gpt2=False)["agreement"].tolist() == [
        "0.70 times as large"
    ]
    nothing = compare(comparable(published, "agreement", FOUND), FOUND, is_gpt2=False)
    assert nothing.empty
    assert nothing.columns.tolist() == list(OF_COMPARISON)


def every_published() -> pd.DataFrame:
    return all_published(read_table(PUBLISHED), read_table(PUBLISHED_FACTS))


def test_every_published_figure_is_compared():
    """Whether a run has it or not: of the files that come with the project no row is left out."""
    of_ioi, of_facts = read_table(PUBLISHED), read_table(PUBLISHED_FACTS)
    compared = compare(comparable(every_published(), "ioi", []), [], is_gpt2=False)
    assert set(of_ioi["quantity"]) < set(compared["quantity"])
    assert len(compared) == len(of_ioi) + len(of_facts) == 50 + 60
    for row in of_facts.to_dict("records"):
        name = f"{row['quantity']}, block {row['block']} of {row['blocks']}"
        (figure,) = compared.loc[compared["quantity"] == name, "published"]
        assert figure == f"{row['value']:.3g} (GPT-2 XL)"
    assert not every_published().duplicated(["key", "source"]).any()


def test_the_committed_comparison_lists_every_published_figure():
    listed = pd.read_csv(ROOT / "results/comparison.csv")
    expected = compare(every_published(), [], is_gpt2=False)
    assert listed[["quantity", "published"]].values.tolist() == expected[["quantity", "published"]].values.tolist()


def test_the_posts_figures_one_by_one():
    published = read_table(PUBLISHED)
    posts = published[published["source"] == "post"]
    figures = sorted({*posts["low"], *posts["high"]})
    assert figures == sorted(
        [0.8, 0.85, -0.4, 1.3, 0.3, 0.4, 0.99, 0.52, 0.036, 1.0, 3.3, 0.71, 0.17, 0.31, 0.18, 0.005, 0.69, 0.83, 0.87,
         0.996]
    )  # fmt: skip


def test_a_bound_is_kept_or_not():
    bound = pd.DataFrame([("p", "post", "p", 0.005, 0.005, "under", "plain", "")], columns=COMPARISON_COLUMNS)
    bound = pd.concat([SHARED, bound])
    for value, sense in ((0.004, "agrees: under it too"), (0.02, "differs: not under it")):
        rows = compare(bound, [Finding("p", "p", Estimate(value))], is_gpt2=False).set_index("quantity")
        assert rows.loc["p", "agreement"] == sense
        assert rows.loc["p", "published"] == "under 0.005"


def test_facts_are_compared_at_the_nearest_depth(tmp_path):
    """GPT-2 XL has 48 blocks, the model three."""
    about = dict(what="one direction per pair", subspace="trained")
    by_block = pd.DataFrame(
        [about | dict(block=block) | made.measured(interchange_accuracy=value) for block, value in ((0, 0.9), (2, 0.2))]
    )
    edits = pd.DataFrame([dict(block=block, what="edit") | made.measured(rewrite=0.95) for block in (0, 2)])
    changed = {
        "facts/mlp8/by_block.csv": by_block,
        "facts/mlp8/edits.csv": edits,
        "published_facts.csv": read_table(PUBLISHED_FACTS),
    }
    results = made.results(tmp_path, changed, experiments=dict(made.EXPERIMENTS) | dict(facts=["mlp8"]), task="facts")
    found = findings(results)
    compared = compare(comparable(every_published(), "facts", found), found, is_gpt2=False).set_index("quantity")
    answers = "share of patches that give the source's answer: DAS direction, block {} of 48"
    assert compared.loc[answers.format(15), "this run"] == "0.900"
    assert compared.loc[answers.format(20), "this run"] == "0.200"
    assert "median rewrite score: ROME edit, block 0 of 48" in compared.index
    # Whole MLPs were not patched in this run.
    assert not compared.index.str.contains("whole MLP").any()


def test_the_published_figures_are_the_references():
    """Those of the post and the paper, as far as they are figures; every share and accuracy lies between 0 and 1."""
    published = read_table(PUBLISHED)
    assert published.columns.tolist() == COMPARISON_COLUMNS
    assert not published.duplicated(["key", "source"]).any()
    assert set(published["measure"]) == {"clean", "ld", "effect", "accuracy", "share", "plain"}
    of_shares = published[published["measure"].isin(("share", "accuracy"))]
    assert of_shares["low"].between(0, 1).all()
    table_1 = published.set_index("key")["low"]
    assert table_1["clean.logit_diff"] == 3.364
    assert table_1["table1.das.nullspace.logit_diff"] == 2.906
    assert table_1["v_true.interchange_accuracy"] == table_1["table1.das.whole.interchange_accuracy"] == 0.737
    assert table_1["v_mlp.full_patch.interchange_accuracy"] == 0.003
