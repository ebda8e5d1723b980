from itertools import product

import numpy as np
import pandas as pd
import pytest
import torch

import made
from drawing import drawn, shown, words
from subspace_illusion.core.sites import Site, residual_after
from subspace_illusion.errors import InputError
from subspace_illusion.experiments.dormant import (
    applies,
    axes,
    nothing_measured,
    nothing_written,
    summary,
    waking,
    written,
    written_along,
)
from subspace_illusion.report.plots.dormant import dormant_figure
from subspace_illusion.report.plots.style import plt
from subspace_illusion.report.sections import dormant
from subspace_illusion.subspace.keys import MEAN_DIFFERENCE, NULL, TRAINED, SubspaceKey, with_keys

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


ABSTRACT = torch.tensor([[1.0, 1, 0], [-1, -1, 0]])  # the post's example: hidden activations of x = 1 and x = -1
DAS, MEAN = SubspaceKey(TRAINED), SubspaceKey(MEAN_DIFFERENCE)
W_OUT = torch.tensor([[1.0], [0], [2]])


def test_the_posts_example_by_hand():
    illusory = torch.tensor([[0.0], [1], [1]]) / 2**0.5
    mlp_alone = W_OUT * torch.tensor([[0.0], [1], [1]])  # e2 and e3 as a component of their own
    clean, patched = written_along(ABSTRACT, ABSTRACT.flip(0), illusory, mlp_alone, torch.ones(1, 1))
    assert clean.tolist() == [0, 0]
    assert patched == pytest.approx([-2, 2])
    clean, patched = written_along(ABSTRACT, ABSTRACT.flip(0), torch.eye(3)[:, :1], None, torch.eye(3)[:, :1])
    assert clean.tolist() == [1, -1]
    assert patched.tolist() == [-1, 1]


FIRST, SECOND = "S first", "S second"
COMBINATIONS = [(SECOND, SECOND), (SECOND, FIRST), (FIRST, FIRST), (FIRST, SECOND)]
"""The values of base and source."""


def pairs(clean: dict[str, float], patched: dict[tuple[str, str], float], copies: int = 20) -> pd.DataFrame:
    """Pairs of these values with what is written around the figures given, two seeds."""
    rng = np.random.default_rng(0)
    rows = []
    for (base, source), value in patched.items():
        for copy in range(copies):
            for seed in (0, 1):
                noise = 0.01 * rng.normal(size=2)
                rows.append(
                    dict(
                        seed=seed, pair=f"{base}{source}{copy:02d}", group=copy, base_value=base, source_value=source,
                        clean=clean[base] + noise[0], patched=value + noise[1],
                    )
                )  # fmt: skip
    return pd.DataFrame(rows)


def test_a_dormant_pathway_wakes():
    table = pairs({SECOND: 0.1, FIRST: -0.1}, dict(zip(COMBINATIONS, [0.1, -2.0, -0.1, 2.0], strict=True)))
    figures = waking(table, (0, 100), resamples=200, seed=0)
    assert figures["clean_gap"] == pytest.approx(0.2, abs=0.01)
    assert figures["patched_gap"] == pytest.approx(2.1, abs=0.01)
    assert figures["gap_ratio"] == pytest.approx(10.5, rel=0.1)
    assert figures["gap_ratio_lo"] < figures["gap_ratio"] < figures["gap_ratio_hi"]
    assert figures["outside"] == 1
    assert figures["outside_same"] < 0.2


def test_a_variable_that_the_component_carries_stays_in_its_range():
    table = pairs({SECOND: 1.0, FIRST: -1.0}, dict(zip(COMBINATIONS, [1.0, -1.0, -1.0, 1.0], strict=True)))
    figures = waking(table, (0, 100), resamples=200, seed=0)
    assert figures["gap_ratio"] == pytest.approx(1, abs=0.01)
    assert figures["outside"] < 0.2


def test_without_both_swaps_of_two_values_nothing_can_wake():
    table = pairs({SECOND: 1.0, FIRST: -1.0}, {(SECOND, SECOND): 1.0, (SECOND, FIRST): -1.0})
    with pytest.raises(InputError, match="pairs that go from each of the two values to the other"):
        waking(table, (0, 100), resamples=100, seed=0)
    third = table.assign(source_value=table["source_value"].replace(FIRST, "third"), pair=table["pair"] + "third")
    for wrong, number in ((pd.concat([table, third]), 3), (table[table["source_value"] == SECOND], 1)):
        with pytest.raises(InputError, match=f"a variable of two values, and this one has {number}"):
            waking(wrong, (0, 100), resamples=100, seed=0)


def test_pairs_of_one_value_may_be_missing():
    table = pairs({SECOND: 0.1, FIRST: -0.1}, dict(zip(COMBINATIONS, [0.1, -2.0, -0.1, 2.0], strict=True)))
    figures = waking(table[table["base_value"] != table["source_value"]], (0, 100), resamples=200, seed=0)
    assert figures["patched_gap"] == pytest.approx(4, abs=0.01)
    assert figures["outside"] == 1
    assert np.isnan([figures[f"outside_same{end}"] for end in ("", "_lo", "_hi")]).all()


def test_identical_pairs_of_a_group_count_once():
    """The interval for pairs that come in twos is that of the single ones."""
    table = pairs({SECOND: 0.1, FIRST: -0.1}, dict(zip(COMBINATIONS, [0.1, -2.0, -0.1, 2.0], strict=True)))
    table["clean"] += 0.3 * np.sin(7 * table["group"])
    twice = pd.concat([table, table.assign(pair=table["pair"] + "again")])
    settings = dict(resamples=300, seed=0)
    once, both = (waking(of, (1, 99), **settings) for of in (table, twice))
    assert both == pytest.approx(once, nan_ok=True)
    apart = pd.concat([table, table.assign(pair=table["pair"] + "again", group=table["group"] + 1000)])
    naive = waking(apart, (1, 99), **settings)
    assert naive["clean_gap_hi"] - naive["clean_gap_lo"] < 0.85 * (once["clean_gap_hi"] - once["clean_gap_lo"])


def test_a_range_of_clean_values_is_of_one_seed():
    """Where the seeds' v_true differ in scale, values outside their own range do not hide in another's."""
    table = pairs({SECOND: 1.0, FIRST: -1.0}, dict(zip(COMBINATIONS, [1.0, -3.0, -1.0, 3.0], strict=True)))
    large = table["seed"] == 1
    table.loc[large, ["clean", "patched"]] *= 100
    assert waking(table, (0, 100), resamples=100, seed=0)["outside"] == 1


@pytest.mark.parametrize(
    ("site", "does"),
    [
        (Site(1, "mlp.hook_post"), True),
        (Site(1, "hook_mlp_out"), True),
        (Site(1, "attn.hook_z", 2), True),
        (residual_after(1), False),
        (Site(1, "hook_resid_mid"), False),
        (Site(1, "mlp.hook_in"), False),
    ],
)
def test_only_what_writes_to_the_residual_stream_and_is_not_in_it(site, does):
    there, back, on = (FIRST, SECOND), (SECOND, FIRST), (SECOND, "third")
    assert applies(site, of_values(there, back)) is does
    assert not applies(site, of_values(there, back, on))
    assert not applies(site, of_values(there, there, (FIRST, FIRST)))
    assert not applies(site, of_values((FIRST, FIRST)))


def of_values(*ways: tuple[str, str]) -> pd.DataFrame:
    return pd.DataFrame(ways, columns=["base_value", "source_value"])


def test_a_direction_of_the_residual_stream_read_along_itself_takes_the_sources_value():
    """Why the residual stream is left out: it is so whatever the direction and the model."""
    base, source = torch.randn(2, 8, 5, generator=torch.Generator().manual_seed(0))
    axis = torch.nn.functional.normalize(torch.arange(1.0, 6.0)[:, None], dim=0)
    _, patched = written_along(base, source, axis, None, axis)
    assert patched == pytest.approx((source @ axis).squeeze(1).double().numpy(), abs=1e-5)


def test_the_table_of_one_component_and_its_summary():
    about = [(f"{b}{s}{i}", f"group {i}", b, s) for i in range(4) for b, s in COMBINATIONS]
    table = pd.DataFrame(about, columns=["pair", "group", "base_value", "source_value"])
    base, source = (
        torch.stack([x, x, 0 * x], 1)
        for x in (torch.tensor([1.0 if value == SECOND else -1.0 for value in table[f"{side}_value"]])
                  for side in ("base", "source"))
    )  # fmt: skip
    illusory = torch.tensor([[0.0], [1], [1]]) / 2**0.5
    bases = {DAS.of_seed(0): illusory, DAS.of_seed(1): -illusory, MEAN: torch.eye(3)[:, :1]}
    probe = SubspaceKey.user("probe")
    bases |= {probe: torch.eye(3)[:, 2:], probe.of_part(NULL): torch.eye(3)[:, :1]}
    unit = torch.ones(1, 1)
    readout = W_OUT * torch.tensor([[0.0], [1], [1]])
    v_true = axes({DAS.of_seed(0): unit, DAS.of_seed(1): unit, MEAN: unit})
    assert list(v_true) == [0, 1]
    found = written(table, base, source, bases, readout, v_true)
    assert len(found) == 3 * 2 * len(table)
    assert set(nothing_written()) == {*found, "component"}
    trained, mean, probe = summary(found, (1, 99), resamples=100, seed=0)
    assert set(nothing_measured()) == {"component", "site", *trained}
    assert (trained["subspace"], trained["pairs"], trained["groups"]) == (TRAINED, 16, 4)
    assert (trained["clean_gap"], trained["patched_gap"], trained["outside"]) == (0, pytest.approx(2), 1)
    assert np.isnan(trained["outside_lo"])  # the same in every case: no draw could differ
    assert (mean["patched_gap"], mean["outside"]) == (0, 0)
    assert (probe["subspace"], probe["patched_gap"]) == ("user: probe", 0)  # e3 is zero in every prompt


def test_own_subspaces_stand_behind_every_seed_of_v_true():
    """Also where nothing was trained at the component: what it writes is seen along each seed's v_true."""
    table = pd.DataFrame(dict(pair=[0, 1], group=["a", "b"], base_value=[FIRST, SECOND], source_value=[SECOND, FIRST]))
    base, source = torch.tensor([[-1.0, 0], [1.0, 0]]), torch.tensor([[1.0, 0], [-1.0, 0]])
    bases = {MEAN: torch.eye(2)[:, :1], SubspaceKey.user("mine"): torch.eye(2)[:, :1]}
    v_true = {3: torch.eye(2)[:, :1], 5: torch.eye(2)[:, 1:]}
    found = written(table, base, source, bases, None, v_true).set_index(["subspace", "seed"])
    assert set(found.index) == {(method, seed) for method in (MEAN_DIFFERENCE, "user: mine") for seed in ("3", "5")}
    assert found.loc[("user: mine", "3"), "patched"].tolist() == [1, -1]
    assert found.loc[("user: mine", "5"), "patched"].tolist() == [0, 0]


# the picture and the section


def drawn_from(names: list[str], patched: float, pairs: int = 40) -> pd.DataFrame:
    rows = []
    rng = np.random.default_rng(0)
    for name, base, source in product(names, (SECOND, FIRST), (SECOND, FIRST)):
        for pair in range(pairs):
            clean = (1 if base == SECOND else -1) + 0.1 * rng.normal()
            moved = patched * (1 if source == SECOND else -1) if base != source else 0.0
            about = dict(component=name, subspace="trained", base_value=base, source_value=source)
            rows.append(about | dict(seed="0", pair=f"{base}{source}{pair}", clean=clean, patched=clean + moved))
    table = pd.DataFrame(rows)
    return pd.concat([table, table.assign(subspace="mean difference", patched=0.0)])


def of_trained(*names: str) -> list[SubspaceKey]:
    return [DAS.at(name) for name in names]


def peaks(axis) -> dict[int, float]:
    """Where the filled density of each row is largest, by row from below."""
    found = {}
    for line in axis.lines:
        x, y = line.get_data()
        if len(x) > 2 and line.get_ls() == "-":
            found[int(np.nanmin(y))] = float(x[np.nanargmax(y)])
    return found


def test_dormant_pathway_by_combination():
    figure = drawn(dormant_figure(with_keys(drawn_from(["resid1", "mlp1"], 9.0)), of_trained("resid1", "mlp1")))
    resid, _ = figure.axes
    assert shown(resid) == [
        "S second → S first", "S first → S second", "S first → S first", "S second → S second"
    ]  # fmt: skip
    assert peaks(resid) == {
        3: pytest.approx(1, abs=0.2), 2: pytest.approx(-1, abs=0.2),
        1: pytest.approx(-8, abs=0.2), 0: pytest.approx(8, abs=0.2),
    }  # fmt: skip
    assert "activation units" in words(figure)
    assert "clean: S second" in words(figure)
    assert [axis.get_title() for axis in figure.axes] == ["resid1", "mlp1"]


def test_dormant_panels_have_ranges_of_their_own():
    table = with_keys(pd.concat([drawn_from(["resid1"], 90.0), drawn_from(["mlp1"], 0.5)]))
    wide, narrow = drawn(dormant_figure(table, of_trained("resid1", "mlp1"))).axes
    assert np.ptp(wide.get_xlim()) > 20 * np.ptp(narrow.get_xlim())


def test_dormant_with_one_component_a_missing_combination_and_values_that_do_not_vary():
    table = with_keys(drawn_from(["mlp1"], 2.0))
    table = table[(table["base_value"] == SECOND) | (table["source_value"] == SECOND)]
    figure = drawn(dormant_figure(table, of_trained("mlp1")))
    assert shown(figure.axes[0]) == ["S second → S first", "S first → S second", "S second → S second"]
    drawn(dormant_figure(table.assign(clean=1.0, patched=1.0), of_trained("mlp1")))
    drawn(dormant_figure(table.groupby(["base_value", "source_value"]).head(1), of_trained("mlp1")))


def test_the_section_says_what_the_table_shows(tmp_path):
    table = made.tables()["dormant.csv"].assign(outside_same=0.1)
    changed = {"dormant.csv": table, "dormant.parquet": drawn_from([made.V_MLP], 2.0)}
    (section,) = dormant.section(made.results(tmp_path, changed))
    assert [picture.name for picture in section.pictures] == ["dormant"]
    assert (
        "What mlp8 writes without a patch differs by -1.00 [-1.10, -0.90] between the values 'S second' and 'S first'"
    ) in made.said(section)
    assert section.reading.startswith("Patched from the same value")
    assert "a share of 0.90 [0.80, 1.00] of the outputs lies outside" in section.answer
    assert section.grids[0].rows[1] == [
        "mlp8", "mean difference", "-1.00 [-1.10, -0.90]", "2.00 [1.90, 2.10]", "-2.00 [-2.10, -1.90]",
        "0.05 [-0.05, 0.15]", "0.10",
    ]  # fmt: skip


def test_ones_own_subspaces_have_panels_and_pairs_of_one_value_may_be_missing(tmp_path):
    written = drawn_from([made.V_MLP], 2.0)
    written = written[written["base_value"] != written["source_value"]]
    written = pd.concat([written, written[written["subspace"] == "trained"].assign(subspace=made.PROBE_KEY.subspace)])
    asleep = made.with_own()["dormant.csv"].assign(outside_same=np.nan)
    changed = made.with_own() | {"dormant.csv": asleep, "dormant.parquet": written}
    (section,) = dormant.section(made.results(tmp_path, changed, v_mlp=None))
    assert section.reading.startswith("Patched from the other value")
    assert "differs by" not in made.said(section)
    figure = drawn(section.pictures[0].figure)
    assert [axis.get_title() for axis in figure.axes] == ["mlp8", f"mlp8: {made.PROBE}"]
    assert len(shown(figure.axes[0])) == 2


def test_where_the_experiment_applies_to_nothing_there_is_no_section(tmp_path):
    assert list(dormant.section(made.results(tmp_path, {"dormant.csv": nothing_measured()}))) == []
