"""The decomposition of what was trained (E4, E5)."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

import made
from drawing import drawn, words
from subspace_illusion.core.frames import orthonormal, random_frame, split
from subspace_illusion.experiments.decompose import decompose, lent_share
from subspace_illusion.report.plots.decompose import decompose_figure
from subspace_illusion.report.plots.style import plt
from subspace_illusion.report.sections import decompose as decomposed
from subspace_illusion.statistics import Bootstrap

pytestmark = pytest.mark.filterwarnings("error")
W_OUT = torch.tensor([[1.0], [0.0], [2.0]])
"""The readout of the post's abstract example."""


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def direction(*entries: float) -> torch.Tensor:
    return orthonormal(torch.tensor(entries, dtype=torch.float32)[:, None])


def test_decomposition_of_the_posts_example():
    """Hidden (x, x, 0): projections on e2 + e3 differ by sqrt 2, and its output is 2 / sqrt 2 along the one axis."""
    x = torch.tensor([1.0, 1.0, -1.0, -1.0])
    activations = torch.stack([x, x, torch.zeros(4)], 1) + 1e-3 * torch.arange(4.0)[:, None]
    classes = (activations, x > 0)
    result = decompose(
        -direction(0, 1, 1)[None],  # the sign is put right by the data
        [7],
        W_OUT,
        torch.ones(1, 1, 1),
        classes,
        classes,
        Bootstrap.of([0, 1, 0, 1], 100, 0),
        tolerance=1e-6,
        random_directions=50,
        seed=0,
    )
    row = result.summary.iloc[0]
    assert row["seed"] == 7
    assert row["gap_whole"] == pytest.approx(math.sqrt(2), abs=0.01)
    assert row["gap_whole"] == pytest.approx(row["gap_row"] + row["gap_null"])
    assert row["row_norm"] == pytest.approx(math.sqrt(0.4))
    assert row["null_norm"] == pytest.approx(math.sqrt(0.6))
    assert row["cos_v_true"] == pytest.approx(1)
    # Along v, (x, x, 0) is x / sqrt 2, of which 2/5 lie along the row part, (2, 0, 4) / 5 / sqrt 2.
    assert row["lent_share"] == pytest.approx(row["gap_null"] / row["gap_whole"])
    assert row["lent_share"] == pytest.approx(0.6, abs=0.01)
    assert set(result.subspaces) == {
        ("mean difference", None),
        ("row part of the mean difference", None),
        ("trained", 7),
        ("row part", 7),
        ("null part", 7),
        ("span of both", 7),
    }
    assert set(result.projections["part"]) == {"whole", "row part", "null part"}


def test_decomposition_of_a_plane_takes_the_axis_on_which_the_classes_differ():
    x = torch.tensor([1.0, 1.0, -1.0, -1.0])
    activations = torch.stack([0 * x, x, 0 * x], 1) + 1e-3 * torch.arange(4.0)[:, None]
    classes = (activations, x > 0)
    plane = torch.eye(3)[:, [2, 1]]  # its first column knows nothing of the classes
    result = decompose(
        plane[None],
        [0],
        torch.eye(3),
        plane[None],
        classes,
        classes,
        Bootstrap.of([0, 1, 0, 1], 100, 0),
        tolerance=1e-6,
        random_directions=200,
        seed=0,
    )
    row = result.summary.iloc[0]
    assert row["gap_whole"] == pytest.approx(2, abs=0.01)
    assert row["cos_v_true"] == pytest.approx(1)
    assert row["cos_random"] == pytest.approx(1)  # two planes of three dimensions always share a line
    assert ("null part", 0) not in result.subspaces
    assert "gap_null" not in row
    assert row["lent_share"] == pytest.approx(0, abs=1e-6)


def test_a_component_without_a_readout_has_no_parts():
    x = torch.tensor([1.0, 1.0, -1.0, -1.0])
    classes = (torch.stack([x, x, 0 * x], 1) + 1e-3 * torch.arange(4.0)[:, None], x > 0)
    result = decompose(
        direction(1, 0, 0)[None], [3], None, None, classes, classes, Bootstrap.of([0, 1, 0, 1], 100, 0),
        tolerance=1e-6, random_directions=5, seed=0,
    )  # fmt: skip
    assert set(result.subspaces) == {("mean difference", None), ("trained", 3)}
    assert set(result.projections["part"]) == {"whole"}
    assert not {"lent_share", "row_norm", "cos_v_true"} & set(result.summary)


def test_the_lent_share_is_the_mean_over_both_swaps_of_opposite_pairs():
    """mean (Delta.n) / mean (Delta.v), Delta = x_source - x_base, turned so that it points to the positive class."""
    generator = torch.Generator().manual_seed(0)
    v = random_frame(6, 1, 0)
    n = split(v, torch.randn(6, 3, generator=generator), tolerance=1e-6).null_vectors
    first, second = torch.randn(2, 10, 6, generator=generator) + torch.tensor([0.0, 2.0])[:, None, None] * v.T
    x = torch.cat([first, second])
    positive = torch.arange(20) >= 10
    cases = [*range(10), *range(10)]
    found = lent_share((x @ v).squeeze(1), (x @ n).squeeze(1), positive, Bootstrap.of(cases, 300, 0))
    base, source = torch.cat([first, second]), torch.cat([second, first])
    delta = (source - base) * torch.where(positive, -1.0, 1.0)[:, None]
    assert found["lent_share"] == pytest.approx(float((delta @ n).mean() / (delta @ v).mean()), rel=1e-5)
    assert found["lent_share_lo"] < found["lent_share"] < found["lent_share_hi"]


def test_the_lent_share_of_what_never_varies_otherwise_has_no_interval():
    whole, null = torch.tensor([-1.0, -1.0, 1.0, 1.0]), torch.tensor([-0.75, -0.75, 0.75, 0.75])
    found = lent_share(whole, null, whole > 0, Bootstrap.of([0, 1, 0, 1], 100, 0))
    assert found["lent_share"] == pytest.approx(0.75)
    assert math.isnan(found["lent_share_lo"])
    assert math.isnan(found["lent_share_hi"])


# the picture and the section


def projections(parts: tuple[str, ...] = ("whole", "row part", "null part")) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    rows = [
        dict(seed=0, part=part, pattern=pattern, projection=place * middle + 0.1 * rng.normal())
        for part, place in zip(("whole", "row part", "null part"), (2.0, 0.5, 1.5), strict=True)
        for pattern, middle in (("ABB", 1), ("BAB", -1))
        for _ in range(30)
        if part in parts
    ]
    return pd.DataFrame(rows)


def test_projections_have_their_distance_and_d_prime():
    figure = drawn(decompose_figure(projections(), "mlp8"))
    titles = [axis.get_title() for axis in figure.axes]
    assert [title.split(":")[0] for title in titles] == ["whole", "row part", "null part"]
    shown = projections()
    row = shown[shown["part"] == "row part"].groupby("pattern")["projection"]
    gap = row.mean()["ABB"] - row.mean()["BAB"]
    assert titles[1] == f"row part: {gap:.2f} apart\nd' {gap / math.sqrt(row.var().mean()):.1f}"
    assert "mlp8" in words(figure)


def test_projections_without_parts_or_spread():
    assert len(drawn(decompose_figure(projections(("whole",)), "resid8")).axes) == 1
    still = projections(("whole",)).assign(projection=lambda t: np.where(t["pattern"] == "ABB", 1.0, -1.0))
    assert drawn(decompose_figure(still, "resid8")).axes[0].get_title() == "whole: 2.00 apart"


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
    assert "apart along the row part, with d' 5.40 (5.40, 5.40)" in section.reading
    norms, gaps = section.grids
    assert norms.rows[0] == ["resid8", "0", "", "", "", "", "0.880"]
    assert gaps.rows[0] == ["mlp8", "0", "4.000", "1.000", "3.000", "6.000", "5.400", "6.000", "0.70 [0.60, 0.80]"]
