"""What else a verdict could rest on gets a fair chance, and cannot see more than it does."""

import numpy as np

from planted_made import cases
from subspace_illusion.verdict.estimate import WRITES
from subspace_illusion.verdict.evidence import AS_IT_IS, ESTIMATE, EVIDENCE, UNFITTED, compared, fitted
from subspace_illusion.verdict.held_out import judged, told_apart


def test_everything_is_compared_where_it_is_known():
    table = compared(judged(told_apart(cases(), 0.1))).set_index(["evidence", "kind"])
    assert {name for name, _ in table.index} == {ESTIMATE, *EVIDENCE, *(f"{name}{UNFITTED}" for name in AS_IT_IS)}
    of_kept = table.loc["what is left without the null part"]
    assert set(of_kept.index) == {"writes to the stream"}
    assert (table["cases"] >= 199).all()  # of 200, two of which may be twins
    assert table["model"].value_counts().nunique() == 1


def test_what_says_something_is_better_than_what_does_not_whichever_way_it_goes():
    table = compared(judged(told_apart(cases(), 0.1)))
    writes = table[table["kind"] == WRITES].groupby("evidence")["median_error"].max()
    assert writes[ESTIMATE] == 0
    assert writes["a placebo's effect over the patch's"] < 0.05  # it falls where the truth rises
    assert writes["interchange accuracy"] > 0.2


def test_a_figure_is_fitted_to_other_models_alone():
    table = judged(told_apart(cases(), 0.1))
    table = table.assign(figure=table["own_share"])
    turned = table.assign(truth=np.where(table["model"] == "one", 1 - table["truth"], table["truth"]))
    before, after = (fitted(t) for t in (table, turned))
    one = before["model"] == "one"
    np.testing.assert_allclose(before.loc[one, "estimate"], after.loc[one, "estimate"])
    assert not np.allclose(before.loc[~one, "estimate"], after.loc[~one, "estimate"])
