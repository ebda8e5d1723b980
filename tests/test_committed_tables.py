"""The committed tables of verdicts say what today's code says: dvc commit can hide a table that was left behind."""

import numpy as np
import pandas as pd
import pytest
import yaml

from subspace_illusion.core.sites import Site
from subspace_illusion.pipeline.layout import VERDICTS
from subspace_illusion.verdict.estimate import kind_of, match_of, mediated_share
from subspace_illusion.verdict.shipped import read_calibration
from test_intervals import RESULTS

ROUNDED = 1e-4
"""Tables are rounded to a millionth, and ratios are of effects from a hundredth on."""
FIGURES = ["fldd", "whole", "own", "match", "share"]


PARAMS = yaml.safe_load((RESULTS.parent / "params.yaml").read_text())
SITES = {name: Site.parse(of_component["hook"]) for name, of_component in PARAMS["components"].items()}


@pytest.mark.parametrize("name", ["seen.csv", "verdicts.csv"])
def test_estimates_are_of_the_figures_beside_them(name):
    table = pd.read_csv(RESULTS / name).dropna(subset=FIGURES)
    assert len(table) >= 6
    np.testing.assert_allclose(table["match"], match_of(table["fldd"], table["whole"]), atol=ROUNDED)
    for component, rows in table.groupby("component"):
        estimate = mediated_share(rows["own"].to_numpy(), rows["match"].to_numpy(), kind_of(SITES[component]))
        np.testing.assert_allclose(rows["share"], estimate, atol=ROUNDED)


def test_what_was_seen_is_what_was_judged():
    seen, judged = pd.read_csv(RESULTS / "seen.csv"), pd.read_csv(VERDICTS)
    both = seen.merge(judged, on=["component", "subspace"], suffixes=("", "_judged"))
    assert len(both) == len(judged)
    for figure in FIGURES:
        np.testing.assert_allclose(both[figure], both[f"{figure}_judged"], atol=ROUNDED)


@pytest.mark.parametrize("name", ["verdicts.csv", "repairs.csv"])
def test_intervals_are_of_the_calibration_that_is_shipped(name):
    """Of the cases of other blocks; wider where the share's own interval over groups is."""
    planted = read_calibration().planted
    for row in pd.read_csv(RESULTS / name).dropna(subset=["share"]).to_dict("records"):
        site = SITES[row["component"]]
        found = planted.without(PARAMS["names"]["model"], site.block).predict(row["share"], kind_of(site))
        assert (row["planted"], row["level"]) == (found.cases, pytest.approx(found.level, abs=ROUNDED))
        assert row["share_lo"] <= found.low + ROUNDED
        assert row["share_hi"] >= found.high - ROUNDED
