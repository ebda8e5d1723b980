"""What patching each subspace does (E3, E4, E6)."""

import dataclasses
from collections.abc import Mapping

import numpy as np
import pandas as pd
import pytest
import torch

import made
from drawing import drawn, intervals, points, shown, words
from subspace_illusion.core.basis import patch_change, random_basis, split
from subspace_illusion.core.model import Model
from subspace_illusion.core.sites import Site, residual_after
from subspace_illusion.measures.effects import (
    BY_TEMPLATE,
    Patched,
    Subspaces,
    by_pair,
    changes,
    count,
    effects,
    halves,
    keys_by_pair,
    patch_everything,
    templates,
)
from subspace_illusion.measures.own_difference import Natural
from subspace_illusion.report.plots.evaluate import evaluate_figure, templates_figure
from subspace_illusion.report.plots.style import BLUE, GREY, plt
from subspace_illusion.report.sections import evaluate
from subspace_illusion.report.words import in_order
from subspace_illusion.statistics import MEASURES, Bootstrap
from subspace_illusion.subspace.component import Component
from subspace_illusion.subspace.keys import (
    ABLATION,
    BOTH,
    LENT_HALF,
    MEAN_DIFFERENCE,
    NULL,
    OWN,
    OWN_HALF,
    POOLED,
    RANDOM,
    ROW,
    STEERING,
    TRAINED,
    WHOLE,
    SubspaceKey,
    with_keys,
)
from subspace_illusion.subspace.pairs import Pairs, recorded_pairs
from subspace_illusion.subspace.patching import along

pytestmark = pytest.mark.filterwarnings("error")
MLP, RESID = Site(1, "mlp.hook_post"), residual_after(1)
TOLERANCE = 1e-5
SETTINGS = dict(tolerance=TOLERANCE, seed=0)
MEAN, DAS = SubspaceKey(MEAN_DIFFERENCE), SubspaceKey(TRAINED)
MEAN_ROW = MEAN.of_part(ROW)


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.mark.parametrize("k", [1, 2])
def test_the_halves_add_up_to_the_patch(k):
    generator = torch.Generator().manual_seed(0)
    base, source = torch.randn(2, 7, 12, generator=generator)
    readout = torch.randn(12, 5, generator=generator)
    basis = random_basis(12, k, 1)
    rows = torch.tensor([3, 0, 6])
    made_of = {half: change(rows) for half, change in halves(base, source, basis, readout, TOLERANCE).items()}
    patch = patch_change(base[rows], source[rows], basis)
    torch.testing.assert_close(made_of[LENT_HALF] + made_of[OWN_HALF], patch)
    # The readout sees the row part of v alone: of the lent half, (Delta.n) W^T r.
    parts = split(basis, readout, TOLERANCE)
    delta = source[rows] - base[rows]
    torch.testing.assert_close(
        made_of[LENT_HALF] @ readout, (delta @ parts.null_vectors) @ parts.row_vectors.mT @ readout
    )
    torch.testing.assert_close(
        made_of[OWN_HALF] @ readout, (delta @ parts.row_vectors) @ parts.row_vectors.mT @ readout
    )


def test_the_null_part_of_the_posts_example_lends_everything():
    """Hidden (x, x, 0), read by (1, 0, 2): along e2 + e3 the row part is (1, 0, 2), so x e1 + x e2 has some of it."""
    base, source = torch.tensor([[1.0, 1, 0]]), torch.tensor([[-1.0, -1, 0]])
    v = torch.tensor([[0.0], [1], [1]]) / 2**0.5
    row = torch.tensor([0])
    readout = torch.tensor([[1.0], [0], [2]])
    found = {half: change(row) @ readout for half, change in halves(base, source, v, readout, TOLERANCE).items()}
    # The patch moves the output by -2 in all; 2/5 of Delta.v lie along the row part.
    assert found[LENT_HALF].item() == pytest.approx(-1.2)
    assert found[OWN_HALF].item() == pytest.approx(-0.8)
    # As a component of its own (e2 and e3), everything is lent.
    alone = torch.tensor([[0.0, 0, 0], [0, 1, 0], [0, 0, 1]])
    found = halves(base @ alone, source @ alone, v, torch.tensor([[0.0], [0], [2]]), TOLERANCE)
    assert found[OWN_HALF](row).abs().max() < 1e-6
    torch.testing.assert_close(found[LENT_HALF](row), torch.tensor([[0.0, -1, -1]]))


@pytest.fixture(scope="module")
def pairs(llama: Model) -> Pairs:
    """Three cases of two pairs, in two sentences of different length."""
    generator = torch.Generator().manual_seed(3)
    rows, prompts = [], []
    for case, length in enumerate((7, 6, 7)):
        for i, tokens in enumerate(torch.randint(1, 500, (2, length), generator=generator).tolist()):
            where = dict(end=length - 1, position=length - 1)
            prompts.append(dict(prompt=2 * case + i, tokens=tokens, text=f"case {case}, prompt {i}") | where)
        for base, source in ((0, 1), (1, 0)):
            rows.append(
                dict(
                    pair=10 + len(rows), group=f"case-{case}", template=length % 2, base=2 * case + base,
                    source=2 * case + source, answer_id=5 + base, foil_id=6 - base, target_id=6 - base,
                    base_value="first" if base else "second", source_value="first" if source else "second",
                )
            )  # fmt: skip
    return recorded_pairs(llama, pd.DataFrame(prompts), pd.DataFrame(rows), [MLP, RESID], 1, batch=2)


def parts_of(key: SubspaceKey, basis: torch.Tensor, readout: torch.Tensor) -> dict[SubspaceKey, torch.Tensor]:
    parts = split(basis, readout, TOLERANCE)
    return {key.of_part(part): x for part, x in ((ROW, parts.row), (NULL, parts.null), (BOTH, parts.both))}


def subspaces(model: Model, site: Site, seeds: int = 2, own: Mapping[str, int] | None = None) -> Subspaces:
    """Random subspaces in the place of those that would be found, own ones by label and rank."""
    readout = model.readout(site)
    d = model.width(site)
    bases = {MEAN: random_basis(d, 1, 7)}
    found = {SubspaceKey(TRAINED, seed=seed): random_basis(d, 1, seed) for seed in range(seeds)}
    found |= {SubspaceKey.user(label): random_basis(d, rank, 0, label) for label, rank in (own or {}).items()}
    for key, basis in found.items():
        bases[key] = basis
        if readout is not None:
            bases |= parts_of(key, basis, readout)
    if readout is not None:
        bases[MEAN_ROW] = split(bases[MEAN], readout, TOLERANCE).row
    return Subspaces(site, bases, readout, rank=1)


def natural(pairs: Pairs, site: Site) -> Natural:
    return Natural.of(Component.of(pairs, site), TOLERANCE, 4)


@pytest.fixture(scope="module")
def components(llama: Model) -> dict[str, Subspaces]:
    return {"resid1": subspaces(llama, RESID), "mlp1": subspaces(llama, MLP)}


@pytest.fixture(scope="module")
def patched(pairs, components) -> dict[str, Patched]:
    return {
        name: patch_everything(pairs, name, of, natural(pairs, of.site), batch=4, **SETTINGS)
        for name, of in components.items()
    }


def patched_and_counted(
    monkeypatch, pairs: Pairs, components: Mapping[str, Subspaces]
) -> tuple[dict[str, Patched], list[int]]:
    """What patching each component did, and how many patches it took."""
    made: list[int] = []
    known = {name: natural(pairs, of.site) for name, of in components.items()}
    patch = Pairs.patch
    monkeypatch.setattr(
        Pairs, "patch", lambda self, site, listed, batch: made.append(len(listed)) or patch(self, site, listed, batch)
    )
    patched, totals = {}, []
    for name, of in components.items():
        patched[name] = patch_everything(pairs, name, of, known[name], batch=100, **SETTINGS)
        totals.append(sum(made))
        made.clear()
    return patched, totals


def test_every_patch_is_made_once_and_counted(pairs, components, monkeypatch):
    counted = [count(of) for of in components.values()]
    # Whole, two trained, mean difference, random; own differences of the three, two ablations and steerings. At the MLP
    # also the residual stream after it, whole, two row and null parts, spans and halves, and a mean row part.
    everywhere = 5 + 3 + 2 * 2
    assert counted == [everywhere, 1 + everywhere + 2 * 3 + 2 * 2 + 1]
    assert patched_and_counted(monkeypatch, pairs, components)[1] == counted


def test_the_outcomes_are_those_of_the_patches(pairs, components, patched):
    outcomes = patched["mlp1"].outcomes
    basis = components["mlp1"].bases[DAS.of_seed(1)]
    alone = pairs.patch(MLP, {0: pairs.along(MLP, basis)}, 4)[0]
    assert outcomes[DAS.of_seed(1)].ld == pytest.approx(alone.ld, abs=1e-5)
    assert outcomes[DAS].ld.shape == (2, len(pairs))
    assert outcomes[DAS].ld[1] == pytest.approx(alone.ld[0], abs=1e-5)
    assert outcomes[DAS.of_part(NULL)].ld == pytest.approx(np.tile(pairs.ld_clean, (2, 1)), abs=1e-4)
    assert outcomes[DAS.of_part(BOTH).of_seed(0)].ld == pytest.approx(
        outcomes[DAS.of_part(ROW).of_seed(0)].ld, abs=1e-4
    )
    whole = pairs.patch(RESID, {0: pairs.along(RESID, None)}, 4)[0]
    assert patched["mlp1"].residual.ld == pytest.approx(whole.ld, abs=1e-5)
    assert (patched["resid1"].outcomes[WHOLE].ld == patched["resid1"].residual.ld).all()
    assert not {DAS.of_part(part) for part in (LENT_HALF, OWN_HALF, ROW)} & set(patched["resid1"].outcomes)


def test_the_table_of_effects(pairs, patched):
    found = effects(pairs, patched, Bootstrap.of(pairs.groups, 100, 0))
    assert list(found)[:6] == ["component", "site", "subspace", "seed", "pairs", "groups"]
    assert (found["pairs"] == 6).all()
    assert (found["groups"] == 3).all()
    rows = found.set_index(["component", "subspace", "seed"])
    assert rows.index.is_unique
    seeds = {method: set(found[(found["component"] == "mlp1") & (found["subspace"] == method)]["seed"])
             for method in set(found["subspace"])}  # fmt: skip
    assert {method for method, of_method in seeds.items() if of_method == {"0", "1", POOLED}} == {
        TRAINED, OWN, ROW, NULL, BOTH, LENT_HALF, OWN_HALF, ABLATION, STEERING
    }  # fmt: skip
    assert {method for method, of_method in seeds.items() if of_method == {POOLED}} == {
        WHOLE.subspace,
        MEAN_DIFFERENCE,
        MEAN.of_part(OWN).subspace,
        MEAN_ROW.subspace,
        RANDOM,
    }
    trained, whole = rows.loc["mlp1", TRAINED, "0"], rows.loc["mlp1", WHOLE.subspace, POOLED]
    for method in (OWN, LENT_HALF, OWN_HALF, ROW):
        for seed in ("0", "1", POOLED):
            row = rows.loc["mlp1", method, seed]
            share = row["effect"] / rows.loc["mlp1", TRAINED, seed]["effect"]
            assert row["share_of_subspace"] == pytest.approx(share, rel=1e-2)
    mean_row = rows.loc["mlp1", MEAN_ROW.subspace, POOLED]
    share = mean_row["effect"] / rows.loc["mlp1", MEAN_DIFFERENCE, POOLED]["effect"]
    assert mean_row["share_of_subspace"] == pytest.approx(share, rel=1e-2)
    assert rows["share_of_subspace"].notna().sum() == 18
    assert trained["whole_share"] == pytest.approx(whole["effect"] / trained["effect"], rel=1e-3)
    assert trained["row_share"] == pytest.approx(rows.loc["mlp1", ROW, "0"]["share_of_subspace"], rel=1e-3)
    residual = rows.loc["resid1", WHOLE.subspace, POOLED]
    assert residual["share_of_residual"] == 1
    assert np.isnan(residual["share_of_residual_lo"])
    assert whole["share_of_residual"] == pytest.approx(whole["effect"] / residual["effect"], rel=1e-3)
    assert np.isnan(rows.loc["mlp1", NULL, POOLED]["whole_share"])  # a share of nothing


def test_sentence_by_sentence(pairs, patched):
    texts = pd.Series({prompt: f"prompt {prompt}" for prompt in range(6)})
    found = templates(pairs, patched, texts, resamples=100, seed=0)
    assert [*found][:6] == ["component", "subspace", "template", "sentence", "pairs", "groups"]
    assert set(MEASURES) <= set(found)
    rows = found.set_index(["component", "subspace", "template"])
    assert len(rows) == 2 * (3 + 4)
    odd, even = rows.loc["mlp1", TRAINED, 1], rows.loc["mlp1", TRAINED, 0]
    assert (odd["sentence"], odd["pairs"], odd["groups"]) == ("prompt 0", 4, 2)
    assert (even["sentence"], even["pairs"], even["groups"]) == ("prompt 2", 2, 1)
    ld = patched["mlp1"].outcomes[DAS].ld.mean(0)
    assert even["effect"] == pytest.approx((pairs.ld_clean - ld)[2:4].mean(), abs=1e-5)
    assert np.isnan(even["effect_lo"])  # one case
    assert odd["effect_lo"] <= odd["effect"] <= odd["effect_hi"]
    whole = effects(pairs, patched, Bootstrap.of(pairs.groups, 100, 0)).set_index(["component", "subspace", "seed"])
    mean = (4 * odd["effect"] + 2 * even["effect"]) / 6
    assert mean == pytest.approx(whole.loc["mlp1", TRAINED, POOLED]["effect"], abs=1e-5)


def test_what_other_experiments_measure_against(pairs, patched):
    found = by_pair(pairs, patched["mlp1"])
    names = {key.subspace for key in patched["mlp1"].outcomes}
    assert set(found) == {"pair", "group", "ld", "residual", *names}
    assert set(keys_by_pair(found)) == {key.pooled for key in patched["mlp1"].outcomes}
    assert found["pair"].tolist() == list(range(10, 16))
    assert found["group"].tolist() == pairs.groups.tolist()
    assert found["ld"].tolist() == pairs.ld_clean.tolist()
    assert found["residual"].to_numpy() == pytest.approx(patched["mlp1"].residual.ld[0])
    for key in (DAS, WHOLE, SubspaceKey(RANDOM)):
        assert found[key.subspace].to_numpy() == pytest.approx(patched["mlp1"].outcomes[key].ld.mean(0))


@pytest.fixture(scope="module")
def with_own(llama: Model) -> dict[str, Subspaces]:
    """One's own subspaces beside trained ones, and alone where nothing is trained."""
    return {
        "mlp1": subspaces(llama, MLP, own={"probe": 1, "SAE plane": 2}),
        "resid1": subspaces(llama, RESID, seeds=0, own={"mine": 3}),
    }


def test_own_subspaces_are_patched_whole_and_by_their_parts(pairs, with_own, monkeypatch):
    patched, made = patched_and_counted(monkeypatch, pairs, with_own)
    # At the MLP as without them 24, and for each of the two itself, three parts, two halves, its own difference,
    # ablation and steering.
    assert {name: count(of) for name, of in with_own.items()} == {"mlp1": 24 + 2 * 9, "resid1": 4 + 4}
    assert made == [24 + 2 * 9, 4 + 4]
    mine = SubspaceKey.user("mine")
    assert set(patched["resid1"].outcomes) == {
        WHOLE, MEAN, MEAN.of_part(OWN), SubspaceKey(RANDOM),
        mine, *(mine.of_part(part) for part in (OWN, ABLATION, STEERING)),
    }  # fmt: skip
    outcomes = patched["mlp1"].outcomes
    for key in map(SubspaceKey.user, ("probe", "SAE plane")):
        alone = pairs.patch(MLP, {0: pairs.along(MLP, with_own["mlp1"].bases[key])}, 100)[0]
        assert outcomes[key].ld == pytest.approx(alone.ld, abs=1e-5)
        assert np.abs(outcomes[key].ld - pairs.ld_clean).max() > 1e-3
        # The null part alone does nothing at all, and the span of both parts what the row part does.
        assert outcomes[key.of_part(NULL)].ld[0] == pytest.approx(pairs.ld_clean, abs=1e-5)
        assert outcomes[key.of_part(BOTH)].ld == pytest.approx(outcomes[key.of_part(ROW)].ld, abs=1e-4)

    rows = effects(pairs, patched, Bootstrap.of(pairs.groups, 100, 0)).set_index(["component", "subspace", "seed"])
    probe = rows.loc["mlp1", "user: probe", POOLED]
    whole, row = rows.loc["mlp1", WHOLE.subspace, POOLED], rows.loc["mlp1", "row part of user: probe", POOLED]
    assert probe["whole_share"] == pytest.approx(whole["effect"] / probe["effect"], rel=1e-2)
    assert probe["row_share"] == pytest.approx(row["effect"] / probe["effect"], rel=1e-2)
    assert probe["effect_over_row_part"] == pytest.approx(probe["effect"] / row["effect"], rel=1e-2)
    for part in (ROW, LENT_HALF, OWN_HALF):
        of_part = rows.loc["mlp1", f"{part} of user: probe", POOLED]
        assert of_part["share_of_subspace"] == pytest.approx(of_part["effect"] / probe["effect"], rel=1e-2)
    assert np.isnan(
        rows.loc["mlp1", "null part of user: probe", POOLED][["whole_share", "share_of_subspace"]].astype(float)
    ).all()
    assert not set(rows.loc["resid1"].index) & {
        ("row part of user: mine", POOLED),
        (f"{LENT_HALF} of user: mine", POOLED),
    }


def test_the_random_subspace_has_the_rank_that_would_be_trained(pairs, llama):
    """Also where nothing is trained, and whatever the rank of one's own."""
    for rank in (1, 3):
        of_rank = dataclasses.replace(subspaces(llama, RESID, seeds=0, own={"mine": 2}), rank=rank)
        change = changes(pairs, "x", of_rank, natural(pairs, RESID), TOLERANCE, 0)[SubspaceKey(RANDOM)](
            torch.arange(len(pairs))
        )
        expected = patch_change(pairs.base(RESID), pairs.source(RESID), random_basis(32, rank, 0, "random", "x"))
        torch.testing.assert_close(change, expected)


def test_the_effects_of_the_halves_add_up_to_first_order(pairs, with_own):
    """Sources a hundredth of the way from the base: what two changes do together is the sum of what each does."""
    base = pairs.base(MLP)
    near = base + 0.01 * (pairs.source(MLP) - base)
    of_mlp = with_own["mlp1"]
    for key in map(SubspaceKey.user, ("probe", "SAE plane")):
        made_of = halves(base, near, of_mlp.bases[key], of_mlp.readout, TOLERANCE)
        both = along(base, near, of_mlp.bases[key])
        moved = {
            half: outcome.ld[0] - pairs.ld_clean
            for half, outcome in pairs.patch(MLP, {**made_of, "both": both}, batch=10).items()
        }
        size = np.abs(moved[LENT_HALF]).mean() + np.abs(moved[OWN_HALF]).mean()
        assert size > 1e-4
        assert moved[LENT_HALF] + moved[OWN_HALF] == pytest.approx(moved["both"], abs=0.05 * size)


# the pictures and the section


def sentences(components: tuple[str, ...] = made.COMPONENTS) -> pd.DataFrame:
    return pd.DataFrame(
        [
            dict(component=name, subspace=key.subspace, template=template, sentence=f"When {template}", pairs=100)
            | dict(groups=50)
            | made.patched(3.0 + template - place)
            for name in components
            for place, key in enumerate(BY_TEMPLATE)
            for template in (0, 1, 2)
            if not (name == made.V_TRUE and key.part == ROW)
        ]
    )


def test_bars_are_the_seeds_pooled_and_dots_the_single_seeds():
    effects = with_keys(made.effects())
    resid, mlp = drawn(evaluate_figure(effects, made.COMPONENTS, in_order(effects["subspace"]))).axes
    assert shown(resid) == [WHOLE.subspace, TRAINED, LENT_HALF, ROW, NULL, MEAN_DIFFERENCE]
    assert [bar.get_width() for bar in mlp.patches] == pytest.approx([-1, 3, 2, 1, 0, -1])
    assert len(intervals(mlp)) == 5  # the null part's effect is exactly zero
    assert sorted(x for x, _ in points(mlp)) == pytest.approx([0, 0, 0.9, 1.1, 1.9, 2.1, 2.9, 3.1])
    assert [text.get_text() for text in resid.texts] == [" none"] * 3
    assert [axis.get_title() for axis in (resid, mlp)] == ["resid8", "mlp8"]
    assert "logit difference lost" in words(resid.figure)


def test_sentences_have_a_dot_a_method():
    figure = drawn(templates_figure(with_keys(sentences()), made.COMPONENTS))
    resid, mlp = figure.axes
    assert shown(resid) == ["sentence 0", "sentence 1", "sentence 2"]
    assert len(points(resid)) == 9
    assert len(points(mlp)) == len(intervals(mlp)) == 12
    assert sorted(x for x, _ in points(mlp, GREY)) == [2.0, 3.0, 4.0]
    assert all(abs(y - round(y)) < 0.5 for _, y in points(mlp))
    assert [text.get_text() for text in figure.legends[0].texts] == [WHOLE.subspace, TRAINED, ROW, MEAN_DIFFERENCE]


def test_one_sentence_of_one_component_without_intervals():
    rows = with_keys(sentences((made.V_TRUE,)).query("template == 0").assign(effect_lo=np.nan, effect_hi=np.nan))
    (axis,) = drawn(templates_figure(rows, [made.V_TRUE])).axes
    assert intervals(axis) == []
    assert len(points(axis)) == 3
    assert len(points(axis, BLUE)) == 2  # the mean difference is hollow


def test_the_section_says_what_the_tables_show(tmp_path):
    tables = {"effects.csv": made.effects().assign(pairs=400, groups=200), "templates.csv": sentences()}
    patching, by_sentence = evaluate.section(made.results(tmp_path, tables))
    assert "400 held-out pairs of 200 groups." in made.said(patching)
    assert "takes 3.00 [2.95, 3.05] off the logit difference, the whole component -1.00 [-1.10, -0.90]." in (
        made.said(patching)
    )
    assert "what the null part lends 0.67 [0.57, 0.77]" in made.said(patching)
    assert [picture.name for picture in patching.pictures] == ["illusion", "evaluate"]
    mlp = patching.grids[1]
    assert {"flip rate (LD < 0)", "interchange accuracy (argmax = foil)"} <= set(mlp.header)
    trained = next(row for row in mlp.rows if row[1] == TRAINED)
    assert trained[:4] == ["mlp8", TRAINED, "3.00 [2.95, 3.05]", "2.90, 3.10"]
    null = next(row for row in mlp.rows if row[1] == NULL)
    assert null[2:4] == ["0.00", "0.00, 0.00"]
    assert [picture.name for picture in by_sentence.pictures] == ["evaluate_templates"]
    assert (
        by_sentence.answer
        == "The trained subspace's effect runs from 3.00 to 5.00 at resid8; from 3.00 to 5.00 at mlp8."
    )
    assert len(by_sentence.grids[0].rows) == 6
    assert by_sentence.grids[0].rows[0][:3] == ["resid8", "0: When 0", "100"]


def test_ones_own_subspaces_stand_behind_the_trained_one_with_their_parts(tmp_path):
    effects = made.with_own()["effects.csv"].assign(pairs=400, groups=200)
    tables = made.with_own() | {"effects.csv": effects, "templates.csv": sentences().query("template == 0")}
    results = made.results(tmp_path, tables, own={made.V_MLP: [made.PROBE]}, v_mlp=None)
    (patching,) = evaluate.section(results)  # one sentence is no comparison of sentences
    assert [picture.name for picture in patching.pictures] == ["evaluate", "evaluate_own"]
    both, alone = (drawn(picture.figure) for picture in patching.pictures)
    assert shown(both.axes[0]) == [WHOLE.subspace, TRAINED, LENT_HALF, ROW, NULL, made.PROBE, MEAN_DIFFERENCE]
    assert shown(alone.axes[0]) == [made.PROBE, *(f"{part} of {made.PROBE}" for part in (LENT_HALF, ROW, NULL))]
    assert "At my probe" not in made.said(patching)
    assert "At mlp8 my probe takes 0.60 [0.55, 0.65] off the logit difference" in made.said(patching)
    assert "the row part, normalised, in my probe's place 0.50 [0.40, 0.60]" in made.said(patching)
    methods = [row[1] for row in patching.grids[1].rows if row[0] == made.V_MLP]
    assert methods == [
        WHOLE.subspace,
        TRAINED,
        LENT_HALF,
        ROW,
        made.PROBE,
        *(f"{part} of {made.PROBE}" for part in (LENT_HALF, ROW, NULL)),
    ]
