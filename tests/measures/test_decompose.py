"""The decomposition of what was trained (E4, E5)."""

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
import torch

import made
from drawing import drawn, words
from subspace_illusion.core.activations import Activations
from subspace_illusion.core.basis import closeness, orthonormal, random_basis, row_space, split
from subspace_illusion.core.sites import Site
from subspace_illusion.files import write_table, write_tensors
from subspace_illusion.measures.decompose import Classes, Decomposition, classes, decompose, gap, lent_draws, row_parts
from subspace_illusion.report.plots.decompose import decompose_figure
from subspace_illusion.report.plots.style import plt
from subspace_illusion.report.sections import decompose as decomposed
from subspace_illusion.statistics import Bootstrap, interval
from subspace_illusion.subspace.keys import (
    BOTH,
    MEAN_DIFFERENCE,
    NULL,
    RANDOM,
    ROW,
    TRAINED,
    SubspaceKey,
    with_keys,
)

pytestmark = pytest.mark.filterwarnings("error")
W_OUT = torch.tensor([[1.0], [0.0], [2.0]])
"""The readout of the post's abstract example."""


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def direction(*entries: float) -> torch.Tensor:
    return orthonormal(torch.tensor(entries, dtype=torch.float32)[:, None])


def decomposed_by(
    trained: dict[int, torch.Tensor],
    readout: torch.Tensor | None,
    v_true: dict[int, torch.Tensor] | None,
    classes: Classes,
    own: dict[str, torch.Tensor] | None = None,
    *,
    groups: Sequence[int] = (0, 1, 0, 1),
    rank: int = 1,
    random_directions: int = 5,
) -> Decomposition:
    """The prompts that choose the signs are those that are projected."""
    asked = {SubspaceKey(TRAINED, seed=seed): basis for seed, basis in trained.items()}
    asked |= {SubspaceKey.user(label): basis for label, basis in (own or {}).items()}
    return decompose(
        asked, readout, v_true, classes, classes, Bootstrap.of(groups, 100, 0),
        rank=rank, tolerance=1e-6, random_directions=random_directions, seed=0,
    )  # fmt: skip


def two_values(*columns: int) -> Classes:
    """Four prompts, the last two with the first value: x = 1 and -1 in some of three dimensions, and a little noise."""
    x = torch.tensor([1.0, 1.0, -1.0, -1.0])
    activations = torch.stack([x if column in columns else 0 * x for column in range(3)], 1)
    return Classes(activations + 1e-3 * torch.arange(4.0)[:, None], (x > 0).long())


def test_decomposition_of_the_posts_example():
    """Hidden (x, x, 0): projections on e2 + e3 differ by sqrt 2, and its output is 2 / sqrt 2 along the one axis."""
    result = decomposed_by(
        {7: -direction(0, 1, 1)},  # the sign is put right by the data
        W_OUT,
        {7: torch.ones(1, 1)},
        two_values(0, 1),
    )
    row = result.summary.iloc[0]
    assert (row["subspace"], row["seed"]) == (TRAINED, 7)
    assert row["gap_whole"] == pytest.approx(math.sqrt(2), abs=0.01)
    assert row["gap_whole"] == pytest.approx(row["gap_row"] + row["gap_null"])
    assert row["row_norm"] == pytest.approx(math.sqrt(0.4))
    assert row["null_norm"] == pytest.approx(math.sqrt(0.6))
    assert row["cos_v_true"] == pytest.approx(1)
    # Along v, (x, x, 0) is x / sqrt 2, of which 2/5 lie along the row part, (2, 0, 4) / 5 / sqrt 2.
    assert row["lent_share"] == pytest.approx(row["gap_null"] / row["gap_whole"])
    assert row["lent_share"] == pytest.approx(0.6, abs=0.01)
    assert set(result.subspaces) == {
        SubspaceKey(MEAN_DIFFERENCE),
        SubspaceKey(MEAN_DIFFERENCE, ROW),
        *(SubspaceKey(TRAINED, part, seed=7) for part in ("", ROW, NULL, BOTH)),
    }
    assert set(result.projections["part"]) == {"whole", "row part", "null part"}
    parts = result.projections.pivot(index="row", columns="part", values="projection")
    np.testing.assert_allclose(parts["row part"] + parts["null part"], parts["whole"], atol=1e-6)


def test_decomposition_of_a_plane_takes_the_axis_on_which_the_classes_differ():
    plane = torch.eye(3)[:, [2, 1]]  # its first column knows nothing of the classes
    result = decomposed_by({0: plane}, torch.eye(3), {0: plane}, two_values(1), random_directions=200)
    row = result.summary.iloc[0]
    assert row["gap_whole"] == pytest.approx(2, abs=0.01)
    assert row["cos_v_true"] == pytest.approx(1)
    assert row["cos_random"] == pytest.approx(1)  # two planes of three dimensions always share a line
    assert ("null part", 0) not in result.subspaces
    # And along each of its principal axes, with what is read of them: the classes differ on the first one.
    assert abs(result.subspaces[SubspaceKey(TRAINED, seed=0, axis=1)][1]) > 0.99
    assert {SubspaceKey(TRAINED, part, seed=0, axis=2) for part in ("", ROW)} <= set(result.subspaces)
    assert "gap_null" not in row
    assert row["lent_share"] == pytest.approx(0, abs=1e-6)


def test_what_a_readout_hardly_sees_has_no_row_part():
    space = row_space(torch.eye(3)[:, :1], 1e-5)
    bases = {SubspaceKey.user("mine"): direction(1, 1, 0), SubspaceKey(TRAINED, seed=0): direction(0, 1, 1)}
    (found,) = row_parts(bases, space).items()
    assert found[0] == SubspaceKey.user("mine").of_part(ROW)
    torch.testing.assert_close(found[1], torch.eye(3)[:, :1])
    assert row_parts(bases, None) == {}


def test_a_component_without_a_readout_has_no_parts():
    result = decomposed_by({3: direction(1, 0, 0)}, None, None, two_values(0, 1))
    assert set(result.subspaces) == {SubspaceKey(MEAN_DIFFERENCE), SubspaceKey(TRAINED, seed=3)}
    assert set(result.projections["part"]) == {"whole"}
    assert not {"lent_share", "row_norm", "cos_v_true"} & set(result.summary)


def three_values(noise: float = 0.0) -> Classes:
    """Nine prompts of three values, whose means lie on e1 at -1, 0, 1 and on e2 at 0, 2, 0."""
    generator = torch.Generator().manual_seed(0)
    means = torch.tensor([[-1.0, 0, 0, 0], [0, 2.0, 0, 0], [1.0, 0, 0, 0]])
    values = torch.arange(9) % 3
    return Classes(means[values] + noise * torch.randn(9, 4, generator=generator), values)


def test_decomposition_of_three_values():
    """Along e1 + e2 the values' means are -1, 2 and 1 over sqrt 2; a readout of e1 alone leaves e2 to the null part."""
    v = direction(1, 1, 0, 0)
    result = decomposed_by({0: -v}, torch.eye(4)[:, :1], None, three_values(), groups=[0] * 9, rank=2)
    row = result.summary.iloc[0]
    of_row, of_null = torch.tensor([-0.5, 0, 0.5]).double(), torch.tensor([0, 1.0, 0]).double()
    whole = of_row + of_null  # along v, in units of sqrt 2
    slope = float(((of_null - of_null.mean()) * (whole - whole.mean())).sum() / (whole - whole.mean()).square().sum())
    assert row["lent_share"] == pytest.approx(slope, abs=1e-5)
    assert row["gap_whole"] == pytest.approx(2 * math.sqrt(2) * float(whole.std(correction=0)), rel=1e-5)
    assert row["gap_null"] == pytest.approx(slope * row["gap_whole"], rel=1e-5)
    assert row["gap_row"] + row["gap_null"] == pytest.approx(row["gap_whole"], rel=1e-5)
    # Of three values the means span a plane; the basis's sign is that of the last value against the first.
    assert result.subspaces[SubspaceKey(MEAN_DIFFERENCE)].shape == (4, 2)
    torch.testing.assert_close(result.subspaces[SubspaceKey(TRAINED, seed=0)], v)
    assert row["cos_mean_difference"] == pytest.approx(1, abs=1e-5)
    capped = decomposed_by({0: v}, torch.eye(4), None, three_values(), groups=[0] * 9)
    assert capped.subspaces[SubspaceKey(MEAN_DIFFERENCE)].shape == (4, 1)


@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("n_values", [2, 3, 5])
def test_the_gaps_of_the_parts_add_up_and_the_lent_share_is_a_ratio_of_them(n_values, k):
    generator = torch.Generator().manual_seed(n_values)
    values = torch.arange(40) % n_values
    x = 2 * torch.randn(n_values, 8, generator=generator)[values] + torch.randn(40, 8, generator=generator)
    basis, readout = random_basis(8, k, 1), torch.randn(8, 4, generator=generator)
    result = decomposed_by({0: basis}, readout, None, Classes(x, values), groups=range(40), rank=k)
    row = result.summary.iloc[0]
    assert row["gap_row"] + row["gap_null"] == pytest.approx(row["gap_whole"], rel=1e-4)
    assert row["lent_share"] == pytest.approx(row["gap_null"] / row["gap_whole"], rel=1e-4)
    assert row["lent_share_lo"] < row["lent_share"] < row["lent_share_hi"]
    means = result.projections.merge(pd.DataFrame(dict(row=range(40), value=values)), on="row")
    means = means.groupby(["part", "value"])["projection"].mean().unstack("part")
    if n_values == 2:
        assert row["gap_whole"] == pytest.approx(means["whole"][1] - means["whole"][0], rel=1e-4)
        assert row["gap_null"] == pytest.approx(means[NULL][1] - means[NULL][0], rel=1e-4)
    slope = np.polyfit(means["whole"], means[NULL], 1)[0]
    assert row["lent_share"] == pytest.approx(slope, rel=1e-4)


def test_own_subspaces_stand_beside_the_trained_one():
    generator = torch.Generator().manual_seed(2)
    readout = torch.randn(6, 3, generator=generator)
    values = torch.arange(12) % 2
    x = torch.randn(12, 6, generator=generator) + 3 * values[:, None]
    own = {"probe": random_basis(6, 1, 5), "SAE plane": -random_basis(6, 2, 6)}
    trained = {4: random_basis(6, 1, 0), 9: random_basis(6, 1, 1)}
    v_true = {4: random_basis(3, 1, 2), 9: random_basis(3, 1, 3)}
    classes = Classes(x, values)
    result = decomposed_by(trained, readout, v_true, classes, own, groups=range(12), random_directions=50)
    summary = result.summary
    assert summary["subspace"].tolist() == [TRAINED, TRAINED, "user: probe", "user: SAE plane"]
    assert summary["seed"].tolist()[:2] == [4, 9]
    assert summary["seed"].isna().tolist() == [False, False, True, True]
    assert summary["lent_share"].notna().all()
    for label in own:
        for part in (ROW, NULL, BOTH):
            assert SubspaceKey.user(label).of_part(part) in result.subspaces
        here = result.projections["subspace"] == SubspaceKey.user(label).subspace
        assert set(result.projections.loc[here, "part"]) == {"whole", ROW, NULL}
    # The user's own are compared with the first seed's v_true, and turned by the data like the others.
    probe_key = SubspaceKey.user("probe")
    basis = result.subspaces[probe_key]
    probe = summary.iloc[2]
    assert probe["cos_v_true"] == pytest.approx(closeness(readout.mT @ basis, v_true[4]), abs=1e-6)
    assert (x[values == 1] @ basis).mean() > (x[values == 0] @ basis).mean()
    assert abs(closeness(basis, own["probe"])) == pytest.approx(1, abs=1e-6)
    parts = split(basis, readout, tolerance=1e-6)
    torch.testing.assert_close(result.subspaces[probe_key.of_part(NULL)], parts.null)
    assert probe["row_norm"] == pytest.approx(float(parts.row_vectors.norm()), abs=1e-6)

    cosines = result.cosines.set_index(["subspace", "other"])["cosine"]
    names = [TRAINED, MEAN_DIFFERENCE, "user: probe", "user: SAE plane"]
    assert list(cosines.index) == [*combinations(names, 2), *((name, RANDOM) for name in names)]
    first = result.subspaces[SubspaceKey(TRAINED, seed=4)]
    assert cosines[TRAINED, "user: probe"] == pytest.approx(closeness(first, basis), abs=1e-5)
    assert cosines[TRAINED, "user: SAE plane"] == pytest.approx(closeness(first, own["SAE plane"]), abs=1e-5)
    for name, k in ((TRAINED, 1), ("user: SAE plane", 2)):
        drawn = [closeness(random_basis(6, k, 100, i), random_basis(6, k, 200, i)) for i in range(300)]
        assert cosines[name, RANDOM] == pytest.approx(np.sqrt(np.mean(np.square(drawn))), abs=0.08)


def test_own_subspaces_alone():
    result = decomposed_by({}, W_OUT, None, two_values(0, 1), {"mine": direction(0, 1, 1)})
    assert set(result.subspaces) == {
        SubspaceKey(MEAN_DIFFERENCE),
        SubspaceKey(MEAN_DIFFERENCE, ROW),
        *(SubspaceKey.user("mine").of_part(part) for part in ("", ROW, NULL, BOTH)),
    }
    assert result.summary["subspace"].tolist() == ["user: mine"]
    assert result.projections["seed"].isna().all()
    pairs = list(zip(result.cosines["subspace"], result.cosines["other"], strict=True))
    assert pairs == [(MEAN_DIFFERENCE, "user: mine"), (MEAN_DIFFERENCE, RANDOM), ("user: mine", RANDOM)]


def test_prompts_by_their_value(tmp_path):
    write_tensors(tmp_path / "blocks.1.mlp.hook_post/0.safetensors", dict(x=torch.arange(8.0).view(4, 2)))
    index = pd.DataFrame(dict(prompt=[5, 6, 7, 8], shard="0", row=[0, 1, 2, 3], length=4, position=3))
    write_table(tmp_path / "index.parquet", index)
    prompts = pd.DataFrame(dict(prompt=[8, 5, 6], value=["plural", "singular", "plural"]))
    site = Site(1, "mlp.hook_post")
    found = classes(Activations(tmp_path), site, prompts, ["dual", "plural", "singular"])
    assert found.activations.tolist() == [[6, 7], [0, 1], [2, 3]]
    assert found.values.tolist() == [1, 2, 1]


def test_the_lent_share_is_the_mean_over_both_swaps_of_pairs_of_different_values():
    """mean (Delta.n) / mean (Delta.v), Delta = x_source - x_base, turned so that it points to the second value."""
    generator = torch.Generator().manual_seed(0)
    v = random_basis(6, 1, 0)
    n = split(v, torch.randn(6, 3, generator=generator), tolerance=1e-6).null_vectors
    first, second = torch.randn(2, 10, 6, generator=generator) + torch.tensor([0.0, 2.0])[:, None, None] * v.T
    x = torch.cat([first, second])
    values = torch.arange(20) // 10
    groups = [*range(10), *range(10)]
    found = interval("lent_share", lent_draws(x @ v, x @ n, values, Bootstrap.of(groups, 300, 0)))
    base, source = torch.cat([first, second]), torch.cat([second, first])
    delta = (source - base) * torch.where(values == 1, -1.0, 1.0)[:, None]
    assert found["lent_share"] == pytest.approx(float((delta @ n).mean() / (delta @ v).mean()), rel=1e-5)
    assert found["lent_share_lo"] < found["lent_share"] < found["lent_share_hi"]


def share_of(whole, null, values, groups):
    return interval("lent_share", lent_draws(whole[:, None], null[:, None], values, Bootstrap.of(groups, 200, 0)))


def test_the_lent_share_of_what_never_varies_otherwise_has_no_interval():
    whole, null = torch.tensor([-1.0, -1.0, 1.0, 1.0]), torch.tensor([-0.75, -0.75, 0.75, 0.75])
    found = share_of(whole, null, (whole > 0).long(), [0, 1, 0, 1])
    assert found["lent_share"] == pytest.approx(0.75)
    assert math.isnan(found["lent_share_lo"])
    assert math.isnan(found["lent_share_hi"])


def test_a_value_that_a_draw_lacks_is_left_out_of_the_draw():
    """Three values of which one has a single group: many draws do without it, and still have a share."""
    whole = torch.tensor([-1.0, -1.1, -0.9, -1.0, 1.0, 1.1, 0.9, 1.0, 3.0])
    values = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1, 2])
    noise = 0.1 * torch.randn(9, generator=torch.Generator().manual_seed(0))
    found = share_of(whole, 0.5 * whole + noise, values, range(9))
    assert 0.3 < found["lent_share_lo"] < found["lent_share"] < found["lent_share_hi"] < 0.7


def test_gaps_by_hand():
    whole, values = torch.tensor([0.0, 2.0, 10.0]), torch.tensor([0, 0, 1])
    assert gap(whole, whole, values) == pytest.approx(9)
    assert gap(-whole, whole, values) == pytest.approx(-9)
    three = torch.tensor([0.0, 3.0, 6.0])
    apart = 2 * math.sqrt(6)
    assert gap(three, three, torch.arange(3)) == pytest.approx(apart)
    assert gap(-2 * three + 1, three, torch.arange(3)) == pytest.approx(-2 * apart)
    assert gap(torch.tensor([1.0, 0.0, 1.0]), three, torch.arange(3)) == pytest.approx(0)  # no slope along the whole


# the picture and the section


def projections(parts: tuple[str, ...] = ("whole", "row part", "null part")) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = [
        dict(subspace="trained", seed=0, part=part, value=value, projection=place * middle + 0.1 * rng.normal())
        for part, place in zip(("whole", "row part", "null part"), (2.0, 0.5, 1.5), strict=True)
        for value, middle in (("plural", 1), ("singular", -1))
        for _ in range(30)
        if part in parts
    ]
    return pd.DataFrame(rows)


def test_projections_have_their_distance_and_d_prime():
    figure = drawn(decompose_figure(with_keys(projections()), "mlp8"))
    titles = [axis.get_title() for axis in figure.axes]
    assert [title.split(":")[0] for title in titles] == ["whole", "row part", "null part"]
    shown = projections()
    row = shown[shown["part"] == "row part"].groupby("value")["projection"]
    gap = row.mean()["plural"] - row.mean()["singular"]
    assert titles[1] == f"row part: {gap:.2f} apart\nd' {gap / math.sqrt(row.var().mean()):.1f}"
    assert "mlp8" in words(figure)


def test_projections_without_parts_or_spread():
    assert len(drawn(decompose_figure(with_keys(projections(("whole",))), "resid8")).axes) == 1
    still = projections(("whole",)).assign(projection=lambda t: np.where(t["value"] == "plural", 1.0, -1.0))
    assert drawn(decompose_figure(with_keys(still), "resid8")).axes[0].get_title() == "whole: 2.00 apart"


def test_the_section_says_how_far_the_row_part_varies(tmp_path):
    lent = dict(lent_share=0.7, lent_share_lo=0.6, lent_share_hi=0.8)
    apart = dict(gap_whole=4.0, gap_row=1.0, gap_null=3.0, d_prime_whole=6.0, d_prime_row=5.4, d_prime_null=6.0)
    summary = made.summary(row_norm=0.8, null_norm=0.6, cos_v_true=0.5, cos_random=0.04, **apart, **lent)
    changed = {
        f"decompositions/{made.V_MLP}/summary.parquet": summary,
        f"decompositions/{made.V_MLP}/projections.parquet": projections(),
    }
    (section,) = decomposed.section(made.results(tmp_path, changed))
    assert [picture.name for picture in section.pictures] == ["decompose__mlp8"]
    assert "At mlp8 the null part lends 0.70 (0.70, 0.70) of what the patch writes" in section.answer
    norms, gaps = section.grids
    assert norms.rows[0] == ["resid8", "trained", "0", "", "", "", "", "0.880"]
    assert gaps.rows[0][:4] == ["mlp8", "trained", "0", "4.000"]
    assert gaps.rows[0][4:] == ["1.000", "3.000", "6.000", "5.400", "6.000", "0.70 [0.60, 0.80]"]


def test_the_section_has_ones_own_subspaces_and_the_cosines_among_them(tmp_path):
    of_probe = projections().assign(subspace=made.PROBE_KEY.subspace, seed=pd.NA)
    both = pd.concat([projections(), projections().assign(seed=1), of_probe]).astype({"seed": "Int64"})
    changed = made.with_own() | {f"decompositions/{made.V_MLP}/projections.parquet": both}
    results = made.results(tmp_path, changed, own={made.V_MLP: [made.PROBE]})
    (section,) = decomposed.section(results)
    norms, gaps, cosines = section.grids
    assert norms.rows[-1] == ["mlp8", made.PROBE, "", "0.700", "0.700", "0.300", "0.040", "0.200"]
    assert gaps.rows[-1][-1] == "0.45 [0.40, 0.50]"
    assert cosines.rows[0] == ["mlp8", "trained", "mean difference", "0.400"]
    assert len(cosines.rows) == 6
    figure = drawn(section.pictures[0].figure)
    assert len(figure.axes) == 6
    assert figure.axes[3].get_ylabel() == f"held-out prompts, mlp8\n{made.PROBE}"


def test_projections_of_many_values_have_a_tick_at_each_mean():
    rng = np.random.default_rng(0)
    about = dict(subspace="trained", seed=0, part="whole", value=[f"city {i % 20}" for i in range(200)])
    shown = with_keys(pd.DataFrame(about | dict(projection=rng.normal(size=200))))
    figure = drawn(decompose_figure(shown, "mlp8"))
    (axis,) = figure.axes
    assert axis.get_title() == "whole"
    (ticks,) = axis.lines
    assert len(ticks.get_xdata()) == 20
    assert "means of 20 values" in words(figure)
