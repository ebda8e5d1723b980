"""Every picture draws from a small table, without a warning, and shows what the table holds."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from subspace_illusion.experiments.controls import (
    ARBITRARY,
    RANDOM_DIRECTION,
    RANDOM_MODEL,
    RANDOM_MODEL_WHOLE,
    SELF,
    UNRELATED,
)
from subspace_illusion.experiments.readers import BACKUP, NAME_MOVER, NEGATIVE, OTHER
from subspace_illusion.experiments.splits import DAS, GRADIENT, MEAN, SEEN, UNSEEN, WHOLE
from subspace_illusion.report.plots.controls import controls_figure
from subspace_illusion.report.plots.dormant import dormant_figure
from subspace_illusion.report.plots.style import BLUE, ORANGE, plt
from subspace_illusion.report.plots.sweeps import neurons_figure, random_mlp_figure
from subspace_illusion.report.plots.validation import heads_figure, paths_figure, probe_figure, splits_figure
from subspace_illusion.report.plots.verdict import verdict_figure
from subspace_illusion.subspace.ways import TRAINED

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def measured(measure: str, value: float, half: float = 0.1) -> dict[str, float]:
    """A measure with its interval."""
    return {measure: value, f"{measure}_lo": value - half, f"{measure}_hi": value + half}


def drawn(figure: Figure) -> Figure:
    """The figure after drawing; no wider than a page, and no text smaller than 8 points."""
    figure.canvas.draw()
    assert figure.get_figwidth() <= 7.5
    assert min(text.get_fontsize() for text in texts(figure)) >= 8
    return figure


def texts(figure: Figure) -> list:
    return [text for text in figure.findobj(plt.Text) if text.get_text() and text.get_visible()]


def words(figure: Figure) -> str:
    return "\n".join(text.get_text() for text in texts(figure))


def shown(axis) -> list:
    return [label.get_text() for label in axis.get_yticklabels()]


def intervals(axis) -> list[tuple[float, float]]:
    """The ends of every interval that is seen."""
    ends = [path.vertices[:, 0] for lines in axis.collections if hasattr(lines, "get_segments")
            for path in lines.get_paths() if len(path.vertices) == 2]  # fmt: skip
    return [(round(a, 6), round(b, 6)) for a, b in ends if np.isfinite([a, b]).all() and a != b]


def points(axis, colour: str | None = None) -> list[tuple[float, float]]:
    """Places of the markers, the ends of intervals left out."""
    lines = [line for line in axis.lines if line.get_marker() in list("os^vD<>") and line.get_ls() == "None"]
    lines = [line for line in lines if colour in (None, to_hex(line.get_color()).upper())]
    return [(float(x), float(y)) for line in lines for x, y in zip(*line.get_data(), strict=True) if np.isfinite(x)]


# dormant


def written(names: list[str], patched: float, pairs: int = 40) -> pd.DataFrame:
    rows = []
    rng = np.random.default_rng(0)
    for name in names:
        for base, source in (("ABB", "CDD"), ("ABB", "DCD"), ("BAB", "CDD"), ("BAB", "DCD")):
            for pair in range(pairs):
                clean = (1 if base == "ABB" else -1) + 0.1 * rng.normal()
                opposite = (base == "ABB") != (source == "CDD")
                moved = patched * (1 if source == "CDD" else -1) if opposite else 0.0
                about = dict(component=name, subspace="trained", base_pattern=base, source_pattern=source)
                rows.append(about | dict(seed=0, pair=f"{base}{source}{pair}", clean=clean, patched=clean + moved))
    table = pd.DataFrame(rows)
    return pd.concat([table, table.assign(subspace="mean difference", patched=0.0)])


def peaks(axis) -> dict[int, float]:
    """Where the filled density of each row is largest, by row from below."""
    found = {}
    for line in axis.lines:
        x, y = line.get_data()
        if len(x) > 2 and line.get_ls() == "-":
            found[int(np.nanmin(y))] = float(x[np.nanargmax(y)])
    return found


def test_dormant_pathway_by_combination():
    figure = drawn(dormant_figure(written(["resid1", "mlp1"], 9.0), ["resid1", "mlp1"], "trained"))
    resid, _ = figure.axes
    assert shown(resid) == ["CDD → BAB", "DCD → ABB", "DCD → BAB", "CDD → ABB"]
    assert peaks(resid) == {
        3: pytest.approx(1, abs=0.2), 2: pytest.approx(-1, abs=0.2),
        1: pytest.approx(-8, abs=0.2), 0: pytest.approx(8, abs=0.2),
    }  # fmt: skip
    assert "activation units" in words(figure)
    assert "clean ABB: S second" in words(figure)
    assert [axis.get_title() for axis in figure.axes] == ["resid1", "mlp1"]


def test_dormant_panels_have_ranges_of_their_own():
    table = pd.concat([written(["resid1"], 90.0), written(["mlp1"], 0.5)])
    wide, narrow = drawn(dormant_figure(table, ["resid1", "mlp1"], "trained")).axes
    assert np.ptp(wide.get_xlim()) > 20 * np.ptp(narrow.get_xlim())


def test_dormant_with_one_component_a_missing_combination_and_values_that_do_not_vary():
    table = written(["mlp1"], 2.0)
    table = table[(table["base_pattern"] == "ABB") | (table["source_pattern"] == "CDD")]
    drawn(dormant_figure(table, ["mlp1"], "trained"))
    drawn(dormant_figure(table.assign(clean=1.0, patched=1.0), ["mlp1"], "trained"))
    drawn(dormant_figure(table.groupby(["base_pattern", "source_pattern"]).head(1), ["mlp1"], "trained"))


# validation


def head_rows(count: int) -> pd.DataFrame:
    roles = {0: NAME_MOVER, 1: NAME_MOVER, 2: BACKUP, 3: NEGATIVE}
    rows = []
    for number in range(count):
        size = {0: 1.0, 1: 0.9, 2: 0.3, 3: -0.8}.get(number, 0.01 * number / count)
        of_runs = dict(attribution_clean=size, attribution_patched=-size, attribution_source=size)
        rows.append(dict(head=f"9.{number}", role=roles.get(number, OTHER)) | of_runs | measured("effect", 2 * size))
    return pd.DataFrame(rows)


def test_heads_that_matter_by_role():
    figure = drawn(heads_figure(head_rows(40), "resid8"))
    left, right = figure.axes
    assert shown(left)[:7] == [
        "name movers", "9.0", "9.1", "backup name movers", "9.2", "negative name movers", "9.3"
    ]  # fmt: skip
    assert len([label for label in shown(left) if label.startswith("9.")]) == 12
    assert len(intervals(right)) == 12
    assert (1.9, 2.1) in intervals(right)
    assert "resid8" in left.get_title(loc="left")
    assert "logit difference lost" in right.get_xlabel()
    assert [text.get_text() for text in figure.legends[0].texts] == ["clean", "the source's clean run", "patched"]


def test_a_head_with_a_large_effect_is_shown_whatever_its_attribution():
    heads = head_rows(40)
    heads.loc[heads["head"] == "9.20", "effect"] = 5.0
    assert "9.20" in shown(drawn(heads_figure(heads, "resid8")).axes[0])


def test_all_name_movers_are_shown():
    heads = head_rows(40).assign(role=NAME_MOVER)
    assert len(shown(drawn(heads_figure(heads, "resid8")).axes[0])) == 41


def test_heads_without_intervals_or_name_movers():
    heads = head_rows(6).assign(effect_lo=np.nan, effect_hi=np.nan, role=OTHER)
    figure = drawn(heads_figure(heads, "resid8"))
    assert intervals(figure.axes[1]) == []
    assert len(points(figure.axes[1])) == 6
    drawn(heads_figure(head_rows(6).assign(attribution_clean=0, attribution_patched=0, effect=0), "resid8"))


def path_rows(share: float, effect: float = 3.0) -> pd.DataFrame:
    groups = {"name movers": 1, "name movers and backups": 7, "all heads downstream": 40, "the patch itself": 0}
    rows = []
    for place, (group, heads) in enumerate(groups.items()):
        value = 1.0 if heads == 0 else share + 0.1 * place
        rows.append(dict(group=group, heads=heads, effect=value * effect) | measured("share_of_patch", value))
    return pd.DataFrame(rows)


def test_paths_of_several_components():
    figure = drawn(paths_figure({"resid8": path_rows(0.6), "mlp8": path_rows(0.2)}, ["mlp8", "resid8"]))
    mlp, resid = figure.axes
    assert [bar.get_width() for bar in mlp.patches] == pytest.approx([0.2, 0.3, 0.4])
    assert [bar.get_width() for bar in resid.patches] == pytest.approx([0.6, 0.7, 0.8])
    assert mlp.get_title() == "mlp8: effect 3.00"
    assert shown(mlp) == ["name movers", "name movers\nand backups", "all heads downstream"]
    assert {"1 head", "7 heads", "40 heads"} <= {text.get_text() for text in mlp.texts}
    assert "share of the patch's effect" in words(figure)


def test_paths_of_one_component_without_effect():
    lost = path_rows(0.5, effect=0.0)
    lost[["share_of_patch", "share_of_patch_lo", "share_of_patch_hi"]] = np.nan
    figure = drawn(paths_figure({"mlp8": lost}, ["mlp8"]))
    assert intervals(figure.axes[0]) == []


def split_rows(ways: tuple[str, ...], parts: tuple[str, ...]) -> pd.DataFrame:
    effects = {WHOLE: 4.0, SEEN: 3.0, UNSEEN: 0.2}
    rows = []
    for way in ways:
        for part in parts:
            rows.append(
                dict(subspace=way, part=part, norm=0.7, chance_norm=0.5, ld_clean=3.5)
                | measured("effect", effects[part])
            )
    return pd.DataFrame(rows)


def test_splits_beside_their_norms():
    figure = drawn(splits_figure(split_rows((DAS, GRADIENT, MEAN), (WHOLE, SEEN, UNSEEN))))
    left, right = figure.axes
    assert shown(left)[:5] == ["DAS direction", WHOLE, SEEN, UNSEEN, "gradient direction"]
    assert len(intervals(left)) == 9
    assert sorted(x for x, _ in points(left)) == [0.2] * 3 + [3.0] * 3 + [4.0] * 3
    assert len(points(right)) == 9
    assert "clean logit difference" in words(figure)
    assert any(line.get_xdata()[0] == 3.5 for line in left.lines)


def test_splits_without_some_parts_and_ways():
    rows = split_rows((GRADIENT, DAS), (WHOLE, SEEN)).assign(effect_lo=np.nan, effect_hi=np.nan)
    figure = drawn(splits_figure(rows))
    assert shown(figure.axes[0]) == ["DAS direction", WHOLE, SEEN, "gradient direction", WHOLE, SEEN]
    assert intervals(figure.axes[0]) == []


def test_probe_beside_chance():
    rows = [
        dict(what=what, name=name, names=20, prompts=80, accuracy=accuracy, chance=0.05, p=p)
        for what, name, accuracy, p in (
            ("projection", "IO", 0.06, 0.4), ("projection", "S", 0.04, 0.7),
            ("whole component", "IO", 0.5, 0.01), ("whole component", "S", 1.0, 0.01),
        )
    ]  # fmt: skip
    figure = drawn(probe_figure(pd.DataFrame(rows)))
    (axis,) = figure.axes
    assert [bar.get_width() for bar in axis.patches] == [0.06, 0.04, 0.5, 1.0]
    assert shown(axis) == ["projection", "IO", "S", "whole component", "IO", "S"]
    assert {"0.060, p = 0.400", "1.000, p = 0.010"} <= {text.get_text() for text in axis.texts}
    assert "chance" in words(figure)
    assert axis.get_xlabel()
    assert len(drawn(probe_figure(pd.DataFrame(rows[:1]))).axes[0].patches) == 1


# controls


def control_rows(controls: dict[str, tuple[float, float]]) -> pd.DataFrame:
    rows = []
    for control, (effect, accuracy) in controls.items():
        row = dict(control=control, train_accuracy=accuracy) | measured("effect", effect)
        if control in (RANDOM_MODEL, RANDOM_MODEL_WHOLE):
            row["ld_clean_sd"] = 0.123
        rows.append(row)
    return pd.DataFrame(rows)


ALL = {
    TRAINED: (3.0, 0.9), RANDOM_DIRECTION: (0.0, np.nan), ARBITRARY: (0.5, 0.4), SELF: (0.0, np.nan),
    UNRELATED: (2.5, np.nan), RANDOM_MODEL: (0.0, 0.0), RANDOM_MODEL_WHOLE: (0.01, np.nan),
}  # fmt: skip


def test_controls_under_the_trained_subspace():
    figure = drawn(controls_figure(control_rows(ALL), "mlp8"))
    left, right = figure.axes
    assert shown(left)[:3] == ["trained subspace", "same names", "unrelated names"]
    assert len(points(left)) == len(intervals(left)) == 7
    assert sorted(x for x, _ in points(right)) == [0.0, 0.4, 0.9]
    assert left.get_title() == "mlp8"
    assert "logit difference lost" in left.get_xlabel()
    assert "s.d. 0.12" in words(figure)


def test_controls_that_are_missing_are_left_out():
    rows = control_rows({TRAINED: (3.0, 0.9), SELF: (0.0, np.nan)}).assign(effect_lo=np.nan, effect_hi=np.nan)
    figure = drawn(controls_figure(rows, "mlp8"))
    assert shown(figure.axes[0]) == ["trained subspace", "same names", "nothing to change", "patch from itself"]
    assert intervals(figure.axes[0]) == []
    assert len(points(figure.axes[0])) == 2


# sweeps


def real(component: str) -> pd.DataFrame:
    about = [("mlp8", TRAINED, "pooled", 3.0), ("mlp8", TRAINED, "0", 9.0), ("mlp8", "random", "pooled", 0.0),
             ("mlp9", TRAINED, "pooled", 1.0)]  # fmt: skip
    rows = [dict(component=c, subspace=s, seed=seed) | measured("effect", e) for c, s, seed, e in about]
    return pd.DataFrame(rows)


def test_random_mlps_beside_the_real_one():
    draws = {"0": 4.0, "1": 5.0, "pooled": 4.5}
    table = pd.DataFrame([dict(draw=draw) | measured("effect", effect) for draw, effect in draws.items()])
    figure = drawn(random_mlp_figure(table, real("mlp8"), "mlp8"))
    (axis,) = figure.axes
    assert shown(axis) == ["real MLP (mlp8)", "trained subspace", "random MLPs", "all draws", "draw 0", "draw 1"]
    assert points(axis, BLUE) == [(3.0, 1.0)]
    assert points(axis, ORANGE) == [(4.5, 3.0)]
    assert sorted(points(axis)) == [(3.0, 1.0), (4.0, 4.0), (4.5, 3.0), (5.0, 5.0)]
    assert len(intervals(axis)) == 4
    assert "logit difference lost" in axis.get_xlabel()


def test_one_random_mlp_without_intervals():
    table = pd.DataFrame([dict(draw="pooled") | measured("effect", 4.5, np.nan)])
    figure = drawn(random_mlp_figure(table, real("mlp8").assign(effect_lo=np.nan, effect_hi=np.nan), "mlp8"))
    assert intervals(figure.axes[0]) == []
    assert len(points(figure.axes[0])) == 2


def test_neurons_and_the_line_through_them():
    swept = pd.DataFrame(dict(neurons=[8, 8, 64, 64], draw=[0, 1, 0, 1], share_of_residual=[0.1, 0.12, 0.5, 0.6]))
    fit = dict(slope_per_neuron=0.0079, intercept=0.05, r2=0.97, points=4)
    (axis,) = drawn(neurons_figure(swept, fit, "mlp8")).axes
    assert len(axis.collections[0].get_offsets()) == 4
    assert axis.lines[0].get_ydata() == pytest.approx([0.05, 0.05 + 64 * 0.0079])
    assert "R² = 0.97" in axis.get_legend().texts[0].get_text()
    assert "mlp8" in axis.get_xlabel()
    assert axis.get_ylabel()


# verdict

THRESHOLDS = {
    "whole component": (0.5, 0.25), "without null part": (0.25, 0.5),
    "clean range": (0.1, 0.5), "random mlp": (np.nan, 0.5),
}  # fmt: skip


def verdict_rows(component: str, verdict: str, found: dict[str, tuple[float, str]], subspace="trained") -> pd.DataFrame:
    rows = []
    for criterion, (faithful, illusory) in THRESHOLDS.items():
        value, says = found.get(criterion, (np.nan, "not applicable"))
        about = dict(component=component, subspace=subspace, verdict=verdict, criterion=criterion, says=says)
        rows.append(about | dict(value=value, lo=value - 0.1, hi=value + 0.1, faithful=faithful, illusory=illusory))
    return pd.DataFrame(rows)


RESID = verdict_rows("resid8", "faithful", {"whole component": (0.9, "faithful"), "clean range": (0.01, "faithful")})
MLP = verdict_rows(
    "mlp8", "illusory",
    {"whole component": (-0.3, "illusory"), "without null part": (0.7, "illusory"), "clean range": (0.4, "undecided"),
     "random mlp": (1.2, "illusory")},
)  # fmt: skip


def zones(axis) -> dict[str, tuple[float, float]]:
    """Ends of the shaded parts of a panel by colour, the panel's own limits as infinite."""
    low, high = axis.get_xlim()
    found = {}
    for patch in axis.patches:
        a, b = patch.get_x(), patch.get_x() + patch.get_width()
        found[to_hex(patch.get_facecolor()).upper()] = (
            -np.inf if np.isclose(a, low) else a,
            np.inf if np.isclose(b, high) else b,
        )
    return found


def test_verdicts_lie_in_their_zones():
    figure = drawn(verdict_figure(pd.concat([RESID, MLP])))
    whole, null, inside, random = figure.axes
    assert [axis.get_title() for axis in figure.axes] == [
        "whole component", "without null part", "clean range", "random MLP"
    ]  # fmt: skip
    assert shown(whole) == ["resid8: faithful", "mlp8: illusory"]
    assert zones(whole) == {BLUE: (0.5, np.inf), ORANGE: (-np.inf, 0.25)}
    assert zones(inside) == {BLUE: (-np.inf, pytest.approx(0.1)), ORANGE: (0.5, np.inf)}
    assert zones(random) == {ORANGE: (0.5, np.inf)}
    assert points(whole, BLUE) == [(0.9, 0.0)]
    assert points(whole, ORANGE) == [(-0.3, 1.0)]
    assert len(points(inside)) == len(intervals(inside)) == 2
    assert [text.get_text() for text in null.texts] == ["not applicable"]
    assert all(axis.get_xlabel() for axis in figure.axes)


def test_one_verdict_without_intervals_and_without_thresholds():
    rows = MLP.assign(lo=np.nan, hi=np.nan, faithful=np.nan, illusory=np.nan)
    figure = drawn(verdict_figure(rows))
    assert [intervals(axis) for axis in figure.axes] == [[]] * 4
    assert [zones(axis) for axis in figure.axes] == [{}] * 4


def test_verdicts_of_several_subspaces_under_headings():
    other = MLP.assign(subspace="mean difference", verdict="inconclusive")
    figure = drawn(verdict_figure(pd.concat([RESID, MLP, other])))
    assert shown(figure.axes[0]) == [
        "trained", "resid8: faithful", "mlp8: illusory", "mean difference", "mlp8: inconclusive"
    ]  # fmt: skip
    assert len(points(figure.axes[0])) == 3


def test_a_figure_out_of_all_bounds_is_drawn_at_the_edge():
    wild = MLP.assign(value=900.0, lo=-1e6, hi=1e6)
    figure = drawn(verdict_figure(pd.concat([RESID, wild])))
    whole = figure.axes[0]
    assert whole.get_xlim()[1] < 3
    assert max(x for x, _ in points(whole)) == 2.5
