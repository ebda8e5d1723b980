"""What else a verdict could rest on gets a fair chance, and cannot see more than it does."""

import numpy as np
import pandas as pd

from subspace_illusion.verdict.evidence import ESTIMATE, EVIDENCE, compared, fitted
from subspace_illusion.verdict.held_out import judged, told_apart


def cases(seed: int = 0) -> pd.DataFrame:
    """Cases of two models in which match says nothing and own all; some figures are missing in the stream."""
    random = np.random.default_rng(seed)
    n = 800
    truth, effect = random.random(n), random.uniform(0.5, 2, n)
    place = np.array(["MLP", "stream after"])[np.arange(n) % 2]
    return pd.DataFrame(
        dict(
            model=np.array(["one", "other"])[np.arange(n) // 2 % 2],
            task="ioi", block=np.arange(n) // 4 % 10, place=place, found="trained", dose=1.0, effect=effect,
            mediated=truth * effect, own=truth * effect, whole=random.uniform(0.2, 2, n),
            kept=np.where(place == "MLP", random.random(n), np.nan), by_itself=0.0,
            placebo=effect * (1 - truth**2), ablated=random.random(n), steered=random.random(n),
            accuracy=random.random(n), probe_cosine=random.random(n),
        )
    )  # fmt: skip


def test_everything_is_compared_where_it_is_known():
    table = compared(judged(told_apart(cases(), 0.1, 0.1))).set_index(["evidence", "kind"])
    assert {name for name, _ in table.index} == {ESTIMATE, *EVIDENCE}
    of_kept = table.loc["what is left without the null part"]
    assert list(of_kept.index) == ["writes to the stream"]
    assert (table["cases"] == 400).all()


def test_what_says_something_is_better_than_what_does_not_whichever_way_it_goes():
    error = compared(judged(told_apart(cases(), 0.1, 0.1))).set_index(["evidence", "kind"])["median_error"]
    writes = error.xs("writes to the stream", level="kind")
    assert writes[ESTIMATE] == 0
    assert writes["a placebo's effect over the patch's"] < 0.05  # it falls where the truth rises
    assert writes["interchange accuracy"] > 0.2


def test_a_figure_is_fitted_to_other_models_alone():
    table = judged(told_apart(cases(), 0.1, 0.1))
    table = table.assign(figure=table["own_share"])
    turned = table.assign(truth=np.where(table["model"] == "one", 1 - table["truth"], table["truth"]))
    before, after = (fitted(t) for t in (table, turned))
    one = before["model"] == "one"
    np.testing.assert_allclose(before.loc[one, "estimate"], after.loc[one, "estimate"])
    assert not np.allclose(before.loc[~one, "estimate"], after.loc[~one, "estimate"])
