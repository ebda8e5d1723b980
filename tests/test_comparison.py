import pandas as pd
import pytest

from subspace_illusion.report.comparison import agree, compare
from subspace_illusion.report.findings import Finding
from subspace_illusion.statistics import Estimate


@pytest.mark.parametrize(
    ("here", "theirs", "is_effect", "sense"),
    [
        ([0.5, 0.4, 0.6], [0.55, 0.55], False, "agrees: within the interval"),
        ([0.5, 0.4, 0.6], [0.3, 0.4], False, "agrees: within the interval"),
        ([0.5, 0.49, 0.51], [0.55, 0.55], False, "agrees: within a quarter"),
        ([3.0, 2.9, 3.1], [1.0, 1.0], False, "same sign, 3 times as large"),
        ([-3.0, -3.1, -2.9], [1.0, 1.0], False, "differs: opposite sign"),
        ([-0.01, -0.02, -0.005], [0.0, 0.0], True, "agrees: both nil"),
        ([-0.3, -0.4, -0.2], [-0.1, -0.1], True, "same sign, 3 times as large"),
    ],
)
def test_the_senses_of_agreement(here, theirs, is_effect, sense):
    assert agree(here, theirs, is_effect) == sense


PUBLISHED = pd.DataFrame(
    [
        ("clean.logit_diff", "paper", "LD: clean", 4.0, 4.0, "clean", ""),
        ("some.logit_diff", "paper", "LD: some", 1.0, 1.0, "ld", "table 1"),
        ("some.effect", "post", "effect", -0.4, -0.4, "effect", ""),
        ("never.measured", "post", "other", 0.3, 0.4, "plain", "about"),
    ],
    columns=["key", "source", "quantity", "low", "high", "measure", "note"],
)
FOUND = [
    Finding("clean.logit_diff", "LD", Estimate(8.0, 7.9, 8.1)),
    Finding("some.logit_diff", "LD", Estimate(2.0, 1.9, 2.1)),
    Finding("some.effect", "effect", Estimate(0.8, 0.7, 0.9)),
]


def test_effects_are_compared_as_shares_of_the_clean_ld():
    """6 of 8 lost here, 3 of 4 there: the same share, whatever the scale of the logits."""
    rows = compare(PUBLISHED, FOUND, is_gpt2=False).set_index("quantity")
    assert rows.loc["LD: some", "agreement"] == "agrees: within the interval"
    assert rows.loc["LD: some", "published"] == "1 (table 1); 75% of clean LD lost"
    assert rows.loc["effect", "agreement"] == "differs: opposite sign"
    assert rows.loc["LD: clean", "agreement"] == "other model, other scale"


def test_what_has_not_been_run_says_so():
    other, gpt2 = (compare(PUBLISHED, FOUND, is_gpt2=gpt2).set_index("quantity") for gpt2 in (False, True))
    assert other.loc["other", ["this run", "gpt2 here", "agreement"]].tolist() == ["not run", "not run", ""]
    assert set(other["gpt2 here"]) == {"not run"}
    assert gpt2.loc["LD: some", "gpt2 here"] == "2.000"
    assert gpt2.loc["other", "gpt2 here"] == "not run"
