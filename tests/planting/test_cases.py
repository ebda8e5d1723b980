"""Planted cases on small models: every case is measured, and what the dose must do it does."""

import numpy as np
import pytest
import torch

import tiny
from some_pairs import some_pairs
from subspace_illusion.core.basis import patch_change, random_basis
from subspace_illusion.core.sites import Site, mlp_output, residual_after
from subspace_illusion.errors import InputError
from subspace_illusion.planting.cases import (
    ARBITRARY_LABELS,
    ATTENTION,
    CARRIER_KINDS,
    MLP,
    OFF_ROUTE,
    PROBE,
    RANDOM_MLP,
    Dose,
    Plan,
    carriers,
    find,
    mean_gradient,
    plant,
    probe,
    sites_read,
)
from subspace_illusion.planting.natural import natural_case, sites_looked_at
from subspace_illusion.subspace.keys import GRADIENT, MEAN_DIFFERENCE, RANDOM, TRAINED
from subspace_illusion.tasks.table import DIFFERENT, SAME

BLOCK = 2
PLAN = Plan(
    doses=(Dose(0.0), Dose(1.0), Dose(1.0, 1.0)),
    seeds=(0,),
    arbitrary=(0.0,),
    off_route=(1.0,),
    settings=dict(steps=3, batch=4, lr=0.02, loss="cross_entropy"),
    batch=4,
    resamples=30,
    tolerance=1e-5,
    seed=0,
)


def pairs_of(model, *kinds: str):
    natural = [Site(BLOCK, "hook_attn_out"), Site(BLOCK, "attn.hook_z", 1)]
    sites = [*sites_read(model, [BLOCK]), *sites_looked_at(natural)]
    return some_pairs(model, list(dict.fromkeys(sites)), BLOCK, kinds=kinds or (DIFFERENT, SAME))


def test_what_natural_cases_need_is_recorded():
    site = Site(1, "mlp.hook_post")
    assert sites_looked_at([site, residual_after(1)]) == [site, residual_after(1)]


@pytest.fixture(scope="module")
def llama_pairs():
    model = tiny.tiny_model("llama")
    return pairs_of(model), pairs_of(model, DIFFERENT)


def test_every_case_is_measured(llama_pairs):
    train, test = llama_pairs
    rows = plant(train, test, BLOCK, CARRIER_KINDS, PLAN)
    methods = {MEAN_DIFFERENCE, PROBE, GRADIENT, RANDOM, TRAINED}
    assert len(rows) == 3 * (2 * len(methods) + 2) + 2 * len(methods)  # heads have no part that nothing reads
    assert set(rows["way"]) == methods | {ARBITRARY_LABELS, OFF_ROUTE}
    assert set(rows["kind"]) == set(CARRIER_KINDS)
    # The dose moves nothing that the model computes, so that the reference is the component's and no dose's.
    assert rows.groupby("kind")["reference"].nunique().max() == 1
    assert (rows.loc[rows["dose"] == 0, "ablated_fldd"].abs() < 1e-5).all()
    assert (rows.loc[rows["dose"] == 1, "ablated_fldd"].abs() > 1e-5).all()
    # Heads have no null part that anything could be lent by.
    attention = rows[rows["kind"] == ATTENTION]
    assert attention["lent"].isna().all()
    assert set(attention["figures"]) == {"apart+off"}
    assert set(rows.loc[rows["kind"] == MLP, "figures"]) == {"lent+lost+apart+off"}
    assert rows["placebo_fldd"].notna()[rows["way"] != ARBITRARY_LABELS].all()
    assert rows["arbitrary_labels_fldd"].notna().sum() == 3  # at dose 0, of the trained direction


def test_at_the_full_dose_the_component_carries_all_of_the_signal(llama_pairs):
    """Patched whole, it moves what patching the signal in the residual stream moves, and its own besides."""
    train, _ = llama_pairs
    model, v = train.model, random_basis(32, 1, 3)
    for carrier in carriers(train, train, BLOCK, v, (MLP, RANDOM_MLP), 0):
        signal = carrier.route.direction[:, None]
        moved = []
        for dose in (0.0, 1.0):
            base, source = carrier.test.dosed(carrier.route, Dose(dose))
            moved.append((source - base) @ carrier.readout)
        along = patch_change(train.base(carrier.stream), train.source(carrier.stream), signal)
        assert torch.allclose(moved[1] - moved[0], along, atol=1e-4)
        assert carrier.output == mlp_output(BLOCK)
    assert model.adds_straight(mlp_output(BLOCK))


def test_a_norm_behind_the_mlp_is_refused_in_one_line():
    model = tiny.tiny_model("gemma3")
    with pytest.raises(InputError, match="goes through a norm before it is added") as error:
        next(carriers(pairs_of(model), pairs_of(model), BLOCK, random_basis(32, 1, 0), (MLP,), 0))
    assert "\n" not in str(error.value)


def test_a_probe_points_from_the_first_value_to_the_last():
    generator = torch.Generator().manual_seed(0)
    values = torch.arange(40) % 2
    activations = torch.randn(40, 5, generator=generator) + 4 * values[:, None] * torch.eye(5)[0]
    found = probe(activations, values)
    assert found.shape == (5, 1)
    assert found[0] > 0.9


def test_the_gradient_is_the_slope_of_the_logit_difference(llama_pairs):
    """A small step along it, away from base and source alike, moves LD by the step times its square."""
    _, test = llama_pairs
    site = residual_after(BLOCK)
    gradient = mean_gradient(test, site, 3).squeeze(1)
    turned = np.where(test.table["source_value"] > test.table["base_value"], 1.0, -1.0)
    step = 1e-3 / gradient.norm()
    done = test.patch(site, {0: lambda rows: (step * gradient).expand(len(rows), -1)}, 4)[0].ld[0]
    assert ((done - test.ld_clean) * turned).mean() == pytest.approx(float(step * gradient.square().sum()), rel=0.05)


@pytest.mark.parametrize("name", ["attn.hook_z.1", "hook_attn_out", "hook_resid_post", "mlp.hook_post"])
def test_natural_cases_are_scored_with_the_figures_that_apply(llama_pairs, name):
    train, test = llama_pairs
    rows = natural_case(train, test, Site.parse(f"blocks.{BLOCK}.{name}"), PLAN)
    assert rows["subspace"].tolist() == [TRAINED, MEAN_DIFFERENCE]
    figures = {"attn.hook_z.1": {"apart+off"}, "mlp.hook_post": {"lent+lost+apart+off"}}
    assert set(rows["figures"]) <= figures.get(name, {"apart", "lost+apart"})
    assert rows["whole_fldd"].nunique() == 1


def test_off_the_route_a_direction_has_no_part_in_what_is_carried(llama_pairs):
    train, _ = llama_pairs
    for carrier in carriers(train, train, BLOCK, random_basis(32, 1, 3), CARRIER_KINDS, 0):
        found = find(carrier, PLAN, torch.randn(32, 1))
        for (_, key), basis in found.items():
            assert basis.norm() == pytest.approx(1, abs=1e-5)
            if key.method == OFF_ROUTE:
                assert abs(basis.squeeze(1) @ carrier.route.hidden) < 1e-5 * carrier.route.hidden.norm()


def test_a_null_part_of_the_signal_changes_nothing_that_is_written(llama_pairs):
    train, _ = llama_pairs
    mlp, heads = carriers(train, train, BLOCK, random_basis(32, 1, 3), (MLP, ATTENTION), 0)
    plain, with_null = (mlp.test.dosed(mlp.route, Dose(1.0, null)) for null in (0.0, 1.0))
    assert torch.allclose(plain[0] @ mlp.readout, with_null[0] @ mlp.readout, atol=1e-4)
    assert (with_null[0] - plain[0]).norm() > 0.1
    assert mlp.route.unread.norm() == pytest.approx(float(mlp.route.hidden.norm()), rel=1e-4)
    with pytest.raises(InputError, match="no part of a signal can go unread"):
        heads.test.dosed(heads.route, Dose(1.0, 1.0))
