"""The mediated share is a fact of the direction: exact in cases that can be worked out by hand, and in small models."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch

import tiny
from some_pairs import some_pairs
from subspace_illusion.core.basis import orthonormal, random_basis
from subspace_illusion.core.model import Model
from subspace_illusion.core.replay import replay
from subspace_illusion.core.sites import Site, residual_after
from subspace_illusion.measures.own_difference import moved_alone
from subspace_illusion.planting import mediated
from subspace_illusion.planting.mediated import Plan, cases_of_block, cases_of_place
from subspace_illusion.planting.places import PLACES, Place, places_of, site_of, sites_read
from subspace_illusion.planting.plant import stream_behind
from subspace_illusion.planting.ways import by_heart, examples_of, trained_at_once
from subspace_illusion.subspace.component import Component
from subspace_illusion.subspace.das import train_das
from subspace_illusion.tasks.table import DIFFERENT, SAME
from subspace_illusion.verdict import known

DAS = dict(steps=6, batch=4, lr=0.05, loss="cross_entropy")
W_OUT = torch.tensor([1.0, 0.0, 2.0])
"""The post's abstract example: W_in = (1, 1, 0), x is 1 or -1."""


def abstract() -> Component:
    """Its hidden activations with x from -1 to 1 and back."""
    x = torch.tensor([-1.0, 1.0])
    base, source = (side[:, None] * torch.tensor([1.0, 1.0, 0.0]) for side in (x, -x))
    return Component(cast(Any, SimpleNamespace()), Site(0, "mlp.hook_post"), base, source)


@pytest.mark.parametrize(
    ("direction", "share"),
    [((1.0, 0.0, 0.0), 1.0), ((0.0, 1.0, 1.0), 0.0), ((1.0, 1.0, 1.0), 2 / 3), ((-1.0, 0.0, 0.0), 1.0)],
    ids=["e1", "e2 + e3", "e1 + e2 + e3", "-e1"],
)
def test_in_the_abstract_example_it_is_worked_out_by_hand(direction, share):
    component, e1 = abstract(), torch.tensor([[1.0], [0.0], [0.0]])
    basis = orthonormal(torch.tensor(direction)[:, None])
    rows, really = torch.arange(2), component.change @ e1
    moved = moved_alone(component, basis, e1, really.squeeze(1))(rows) @ W_OUT
    patched = component.along(basis)(rows) @ W_OUT
    # Along (1, 1, 1) / sqrt 3 the patch moves e1 by 4/3 of x and writes 4/3 (1 + 2).
    expected = {2 / 3: 1 / 3}.get(share, share)
    torch.testing.assert_close(moved, expected * patched)


def test_a_basis_turned_within_a_subspace_changes_nothing():
    component, e1 = abstract(), torch.tensor([[1.0], [0.0], [0.0]])
    plane = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    turn = torch.tensor([[0.6, -0.8], [0.8, 0.6]])
    rows, really = torch.arange(2), (component.change @ e1).squeeze(1)
    one, other = (
        moved_alone(component, basis, e1, really)(rows) for basis in (orthonormal(plane), orthonormal(plane) @ turn)
    )
    torch.testing.assert_close(one, other)


def test_nothing_moves_further_than_it_really_does_nor_the_other_way():
    component, e1 = abstract(), torch.tensor([[1.0], [0.0], [0.0]])
    basis, rows = e1, torch.arange(2)
    change = component.change[:, 0]
    for really, expected in ((change / 4, change / 4), (-change, 0 * change), (change * 3, change)):
        torch.testing.assert_close(moved_alone(component, basis, e1, really)(rows)[:, 0], expected)


def made(model: Model, name: str):
    block = 1
    pairs = some_pairs(model, sites_read(model, block, [name]), block, kinds=(DIFFERENT, SAME))
    direction = random_basis(pairs.base(residual_after(block)).shape[1], 1, 3).squeeze(1)
    return pairs, Place.of(name, site_of(name, block), direction, pairs, seed=0)


@pytest.mark.parametrize("name", ["attention's output", "stream after"])
def test_a_patch_along_the_mediator_is_mediated_and_one_across_it_is_not(model: Model, name: str):
    pairs, place = made(model, name)
    component, rows = place.at(pairs, 0.7, batch=8), torch.arange(len(pairs))
    u, really = place.mediator.unit, place.moves(pairs, 0.7)
    across = orthonormal((torch.eye(len(u)) - u @ u.T) @ random_basis(len(u), 1, 5))
    moved = moved_alone(component, u, u, really)(rows)
    torch.testing.assert_close(moved, component.along(u)(rows), atol=1e-4, rtol=1e-4)
    still = moved_alone(component, across, u, really)(rows)
    torch.testing.assert_close(still, torch.zeros_like(still), atol=1e-4, rtol=0)


def planned(places=(), smallest_effect=-1.0) -> Plan:
    return Plan(
        places, [0.0, 0.5, 1.0], mixtures=2, das=DAS, batch=16, tolerance=1e-5, smallest_effect=smallest_effect, seed=0
    )


def test_every_place_of_a_block_has_its_cases(model: Model, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(known, "BY_ITSELF", 1e9)  # random components do much by themselves
    places = places_of(model, list(PLACES))
    pairs = some_pairs(model, sites_read(model, 1, places), 1, cases=6, kinds=(DIFFERENT, SAME))
    found = cases_of_block(pairs, pairs.different, 1, planned(places))
    tried = found["place"].unique().tolist()
    assert set(places) - {"one head"} <= set(tried)  # one head may not write along the direction
    assert len(found) == len(tried) * 3 * (5 + 2 + 1)  # in no place is DAS the mediator itself
    assert found[["effect", "mediated", "own", "whole", "carried"]].notna().all(axis=None)
    by_itself = ~found["found"].str.startswith(("mixture", "plane")) & (found["found"] != "off the route")
    measured = found[["placebo", "ablated", "steered"]].notna()
    assert (measured.all(axis=1) == by_itself).all()
    tossed = by_itself & (found["dose"] == 1) & found["place"].isin(["MLP", "MLP's output", "stream after"])
    assert (found["arbitrary"].notna() == tossed).all()
    assert found.loc[found["dose"] == 0, "mediated"].abs().max() < 1e-4
    assert found.loc[found["found"] == "off the route", "mediated"].abs().max() < 1e-3
    unread = found.groupby("place")["kept"].apply(lambda kept: kept.notna().any())
    assert unread["MLP"]
    assert not unread["stream after"]
    without, full = (found[found["dose"] == dose].groupby("place")["whole"].first() for dose in (0, 1))
    by_place = found.set_index("place")
    assert (by_place["by_itself"] == without.loc[found["place"]].to_numpy()).all()
    assert (by_place["carried"] == (full - without).loc[found["place"]].to_numpy()).all()


@pytest.mark.parametrize("name", ["attention's output", "stream after"])
def test_of_the_mediator_all_is_mediated_with_every_dose(model: Model, name: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(known, "BY_ITSELF", 1e9)
    pairs, place = made(model, name)
    found = cases_of_place(place, pairs, pairs.different, planned(), {"mediator": place.mediator.unit})
    alone = found[(found["found"] == "mediator") & (found["dose"] > 0)]
    assert alone["effect"].abs().min() > 1e-4
    torch.testing.assert_close(
        *(torch.tensor(alone[of].to_numpy()) for of in ("mediated", "effect")), rtol=0.01, atol=1e-4
    )


def test_what_could_not_count_is_not_worked_for(llama: Model, monkeypatch: pytest.MonkeyPatch):
    pairs, place = made(llama, "MLP")
    trained = []
    monkeypatch.setattr(mediated, "trained_at_once", lambda *_: trained.append("das"))
    monkeypatch.setattr(known, "BY_ITSELF", 0.0)
    found = cases_of_place(place, pairs, pairs.different, planned())
    assert trained == []
    assert set(found["found"]) == {"mean difference", "probe", "gradient"}
    assert found[["effect", "mediated", "own"]].notna().all(axis=None)
    assert found[["placebo", "ablated", "steered", "kept", "arbitrary"]].isna().all(axis=None)
    nothing = cases_of_place(place, pairs, pairs.different, planned(smallest_effect=1e9))
    assert nothing["effect"].notna().all()
    assert nothing[["mediated", "own"]].isna().all(axis=None)


@pytest.mark.parametrize("name", ["MLP", "random MLP", "stream after"])
def test_doses_trained_in_one_batch_find_what_each_finds_alone(llama: Model, name: str):
    pairs, place = made(llama, name)
    components = [place.at(pairs, dose, batch=8) for dose in (0.3, 1.0)]
    together = trained_at_once(components, DAS, 0)
    for component, basis in zip(components, together, strict=True):
        readout = None if component.through is None else component.through[None]
        alone = train_das(
            llama, component.site, component.examples, rank=1, seeds=[0], readout=readout, **cast(Any, DAS)
        ).bases[0]
        torch.testing.assert_close(basis, alone, atol=1e-3, rtol=0)


def test_what_is_learnt_by_heart_is_learnt_at_the_full_dose(llama: Model):
    pairs, place = made(llama, "MLP")
    without, full = (place.at(pairs, dose, batch=8) for dose in (0.0, 1.0))
    torch.testing.assert_close(by_heart([without, full], DAS, 0), by_heart([full, full], DAS, 0))
    assert not torch.allclose(by_heart([full, without], DAS, 0), by_heart([full, full], DAS, 0), atol=1e-3)


def test_runs_learn_from_their_own_pairs_alone(llama: Model):
    pairs, place = made(llama, "MLP")
    examples = examples_of([place.at(pairs, dose, batch=8) for dose in (0.3, 1.0)])
    assert len(examples) == len(pairs)
    poisoned = examples.base.clone() if isinstance(examples.base, torch.Tensor) else None
    assert poisoned is not None
    poisoned[len(pairs) :] = torch.nan
    only_first = replace(examples, base=poisoned, own=examples.own[:1] if examples.own is not None else None)
    trained = train_das(llama, place.site, only_first, rank=1, seeds=[0], **cast(Any, DAS))
    assert trained.bases.isfinite().all()


@pytest.mark.parametrize("name", ["MLP", "random MLP"])
def test_a_dose_arrives_behind_an_uneven_norm_in_a_stream_that_is_large(name: str):
    """As in Gemma: its norms behind write one coordinate many times as large as the others, and what is the same in
    every prompt is many times what varies."""
    model = tiny.tiny_model("gemma3")
    weights = dict(model.bridge.named_parameters())
    (norm,) = (p for n, p in weights.items() if "layers.1." in n and "post_feedforward" in n)
    (embedding,) = (p for n, p in weights.items() if "embed_tokens" in n)
    norm.data[0], embedding.data[:, 1] = 50.0, 5.0
    pairs, place = made(model, name)
    component, moves = place.at(pairs, 0.02, batch=8), place.moves(pairs, 0.02)
    behind = stream_behind(model, place.site)
    change = moves[:, None] * place.mediator.unit.mT
    change = change if component.through is None else change @ component.through
    tail = component.pairs.tail(component.site.start)(torch.arange(len(pairs)))
    moved, still = (
        replay(model, tail, {component.site: x}, [behind]).activations[behind] for x in (change, 0 * change)
    )
    arrived, really = (moved - still) @ place.signal.direction, moves / place.mediator.vector.norm()
    assert 0.6 < float(arrived @ really / (really @ really)) < 1.6  # the norm's own factor varies with the prompt
