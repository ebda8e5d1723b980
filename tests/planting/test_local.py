"""Cases planted in a user's own component, with the user's own pairs."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from some_pairs import some_pairs
from subspace_illusion.core.basis import mean_difference, orthonormal, random_basis
from subspace_illusion.core.model import Model
from subspace_illusion.core.sites import Site, residual_after
from subspace_illusion.planting import local
from subspace_illusion.planting.local import (
    COLUMNS,
    LEAST_CASES,
    cases_here,
    intervals_here,
    patches_here,
    signal_before,
    sites_here,
)
from subspace_illusion.planting.mediated import Plan, cases_of_place
from subspace_illusion.planting.places import Place
from subspace_illusion.planting.plant import gain
from subspace_illusion.subspace.component import Component
from subspace_illusion.subspace.pairs import Pairs
from subspace_illusion.tasks.table import DIFFERENT, SAME
from subspace_illusion.verdict import held_out, known
from subspace_illusion.verdict.estimate import ADDED, STREAM, WRITES, match_of, mediated_share, share_of
from subspace_illusion.verdict.intervals import ELSEWHERE, HERE, Intervals

PLAN = Plan([], (0.0, 1.0), mixtures=2, das={}, batch=16, tolerance=1e-5, smallest_effect=-1.0, seed=0, evidence=False)
KINDS = {"mlp.hook_post": WRITES, "attn.hook_z": WRITES, "hook_mlp_out": ADDED, "hook_resid_post": STREAM}
EVIDENCE = {"kept", "placebo", "ablated", "steered", "arbitrary"}


def at(model: Model, point: str) -> tuple[Pairs, Site, dict[str, torch.Tensor]]:
    site = Site.parse(f"blocks.1.{point}")
    sites = list(dict.fromkeys([residual_after(1), *sites_here(model, site), site]))
    pairs = some_pairs(model, sites, 1, cases=6, kinds=(DIFFERENT, SAME))
    return (
        pairs,
        site,
        {"trained": random_basis(model.width(site), 1, 7), "yours: mine": random_basis(model.width(site), 1, 8)},
    )


@pytest.mark.parametrize("point", KINDS)
def test_every_direction_is_tried_with_every_dose(model: Model, point: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(known, "BY_ITSELF", 1e9)  # random components do much by themselves
    pairs, site, given = at(model, point)
    found = cases_here(pairs, pairs.different, site, given, PLAN)
    assert tuple(found.columns) == COLUMNS
    assert set(found["place"]) == {site.name}
    assert set(found["kind"]) == {KINDS[point]}
    assert len(found) == 2 * (2 + 4 + 2 + 1)
    assert {"trained", "yours: mine", "mean difference", "probe", "gradient", "off the route"} < set(found["found"])
    assert found.loc[found["dose"] == 0, "mediated"].abs().max() < 1e-4
    assert found.loc[found["found"] == "off the route", "mediated"].abs().max() < 1e-3
    nothing = found.loc[found["dose"] == 0, "whole"].unique()
    assert set(found["by_itself"]) == set(nothing)
    counted = found["counts"]
    assert (found["estimate"].notna() == counted).all()
    assert (found["truth"].notna() == counted).all()


@pytest.mark.parametrize("point", KINDS)
def test_estimate_and_truth_are_those_of_all_planted_cases(llama: Model, point: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(known, "BY_ITSELF", 1e9)
    monkeypatch.setattr(held_out, "TWINS", -1)
    pairs, site, given = at(llama, point)
    found = cases_here(pairs, pairs.different, site, given, PLAN)
    counted = found[found["counts"]]
    assert len(counted)
    effect, whole, own, mediated = (counted[name].to_numpy() for name in ("effect", "whole", "own", "mediated"))
    estimate = mediated_share(share_of(own, effect), match_of(effect, whole), KINDS[point])
    np.testing.assert_allclose(counted["estimate"], estimate, atol=1e-4)
    np.testing.assert_allclose(counted["truth"], share_of(mediated, effect), atol=1e-4)
    assert found.loc[~found["counts"], ["estimate", "truth"]].isna().all(axis=None)


def test_the_signal_is_the_mean_difference_of_the_stream_before(llama: Model):
    pairs, site, _ = at(llama, "mlp.hook_post")
    before = Site.parse("blocks.1.hook_resid_mid")
    held = torch.cat([pairs.base(before), pairs.source(before)])
    expected = mean_difference(held, torch.cat(pairs.values)).squeeze(1)
    torch.testing.assert_close(signal_before(pairs, site), expected)
    assert float(expected.norm()) == pytest.approx(1)


def test_a_component_that_cannot_write_the_signal_has_no_cases(llama: Model, monkeypatch: pytest.MonkeyPatch):
    pairs, site, given = at(llama, "attn.hook_z.1")
    readout = llama.readout(site)
    assert readout is not None
    written = torch.linalg.svd(readout * gain(pairs, site))[2]
    monkeypatch.setattr(local, "signal_before", lambda *_: written[-1])  # eight dimensions write to eight of 32
    found = cases_here(pairs, pairs.different, site, given, PLAN)
    assert found.empty
    assert tuple(found.columns) == COLUMNS
    assert intervals_here(found.assign(component=[])) == {}


def test_nothing_is_planted_where_no_case_could_be_like_it(llama: Model, monkeypatch: pytest.MonkeyPatch):
    assert sites_here(llama, Site.parse("blocks.1.attn.hook_q")) == []
    site = Site.parse("blocks.1.mlp.hook_post")
    assert {each.point for each in sites_here(llama, site)} > {"mlp.hook_post", "hook_resid_mid", "hook_resid_post"}
    check = Model.check

    def lacks(self: Model, site: Site) -> None:
        check(self, replace(site, point="hook_no") if site.point == "hook_mlp_out" else site)

    monkeypatch.setattr(Model, "check", lacks)
    assert sites_here(llama, site) == []


def test_without_the_evidence_the_cases_are_the_same(llama: Model, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(known, "BY_ITSELF", 1e9)
    pairs, site, given = at(llama, "mlp.hook_post")
    place = Place.of(site.name, site, orthonormal(torch.ones(32, 1)).squeeze(1), pairs, seed=0)
    less, more = (
        cases_of_place(place, pairs, pairs.different, replace(PLAN, evidence=evidence), given)
        for evidence in (False, True)
    )
    assert set(more.columns) - set(less.columns) == EVIDENCE
    pd.testing.assert_frame_equal(less, more[less.columns], atol=1e-5)


@pytest.mark.parametrize("number", [0, 1, 2])
def test_what_planting_costs_is_known_before(llama: Model, number: int, monkeypatch: pytest.MonkeyPatch):
    pairs, site, given = at(llama, "mlp.hook_post")
    made, patch = [], Component.patch
    monkeypatch.setattr(
        Component,
        "patch",
        lambda self, changes, *how, **asked: made.append(len(changes)) or patch(self, changes, *how, **asked),
    )
    monkeypatch.setattr(known, "BY_ITSELF", 1e9)
    cases_here(pairs, pairs.different, site, dict(list(given.items())[:number]), PLAN)
    # Without a direction that is given there is nothing off the route.
    assert sum(made) == patches_here(number, PLAN) - (0 if number else 2 * 3)


def test_only_cases_that_count_make_intervals_and_only_enough_of_them():
    cases = pd.DataFrame(
        dict(component="one", kind=WRITES, counts=[True] * LEAST_CASES + [False], estimate=0.9, truth=0.1)
    )
    few = cases.assign(component="other", counts=[False] * 2 + [True] * (LEAST_CASES - 1))
    found = intervals_here(pd.concat([cases, few], ignore_index=True))
    assert list(found) == ["one"]
    assert isinstance(found["one"], Intervals)
    predicted = found["one"].predict(0.9, WRITES)
    assert predicted is not None
    assert (predicted.source, predicted.cases, predicted.level) == (HERE, LEAST_CASES, 0.5)
    assert (predicted.low, predicted.high) == pytest.approx((0.1, 1.0))
    assert found["one"].predict(0.9, STREAM) is None
    assert HERE != ELSEWHERE
