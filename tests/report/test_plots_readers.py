"""Readers, paths, splits and names in the report (E3): what the pictures show and the sections say."""

import numpy as np
import pandas as pd
import pytest

import made
from drawing import drawn, intervals, points, shown, words
from subspace_illusion.experiments.tell_names import ALIKE, UNALIKE
from subspace_illusion.experiments.trace_paths import ALL_HEADS, MOVERS, PATCH, READERS
from subspace_illusion.measures.find_readers import MINOR, MOVER, NEGATIVE, OTHER, READER
from subspace_illusion.measures.split_directions import RANDOM_SEEN, RANDOM_UNSEEN, READ_PARTS, SEEN, UNDIVIDED
from subspace_illusion.report.plots.split_directions import split_directions_figure
from subspace_illusion.report.plots.style import plt
from subspace_illusion.report.plots.tell_names import tell_names_figure
from subspace_illusion.report.plots.trace_paths import trace_paths_figure
from subspace_illusion.report.sections import find_readers, split_directions, tell_names, trace_paths
from subspace_illusion.subspace.keys import GRADIENT, MEAN_DIFFERENCE, POOLED, RANDOM, TRAINED, with_keys

pytestmark = pytest.mark.filterwarnings("error")
KINDS = {"9.0": (READER, MOVER), "9.10": (READER, NEGATIVE), "9.2": (MINOR, OTHER), "9.3": (OTHER, MOVER)}
CLEAN = {"9.0": 1.0, "9.10": -0.8, "9.2": 0.1, "9.3": 0.7}
PATCHED = {"9.0": 0.85, "9.10": 0.7, "9.2": 0.0, "9.3": 0.7}


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


# find_readers


def found() -> pd.DataFrame:
    rows = []
    for head, (kind, role) in (KINDS | {"9.4": (OTHER, OTHER)}).items():
        clean, patched = CLEAN.get(head, 0.0), PATCHED.get(head, 0.0)
        row = dict(head=head, attribution=clean, patched=patched, response=clean - patched, reader=kind, role=role)
        rows.append(row | made.measured(0.01, share=(clean - patched) / 4))
    return pd.DataFrame(rows)


def readers_section(folder, published):
    summary = dict(rule="A rule.", ld_clean=4.0, effect=4.0, found={}, roles={}, published=published)
    results = made.results(folder, {"find_readers/readers.csv": found(), "find_readers/readers.json": summary})
    (section,) = find_readers.section(results)
    return section


def test_the_readers_and_the_name_movers_are_listed(tmp_path):
    section = readers_section(tmp_path, {})
    assert section.title.startswith("E3  ")
    assert section.reading.startswith("A rule. So no trained direction and no held-out pair has a part in this.")
    assert (
        "Readers: 9.0, 9.10. Minor readers: 9.2. Of 2 readers 1 count as movers (in IOI: name movers)"
        in section.reading
    )
    assert "that are no readers: 9.3." in section.reading
    assert section.answer == "These read it: 9.0, 9.10."
    _, grid = section.grids
    assert [row[0] for row in grid.rows] == ["9.0", "9.10", "9.2", "9.3"]


def test_the_published_heads_stand_beside(tmp_path):
    _, _, grid = readers_section(tmp_path, {"name mover": ["9.0", "9.4", "2.1"]}).grids
    assert grid.rows == [["name mover", "9.0, 9.4, 2.1", "9.0", "none", "9.0", "none", "9.4", "2.1"]]
    assert len(grid.header) == len(grid.rows[0])


# trace_paths


def heads(others: int = 20) -> pd.DataFrame:
    rows = []
    kinds = KINDS | {f"10.{number}": (OTHER, OTHER) for number in range(others)}
    for head, (kind, role) in kinds.items():
        clean, patched = CLEAN.get(head, 0.01), PATCHED.get(head, 0.01)
        effect = clean - patched if head in KINDS else 0.0
        row = dict(head=head, reader=kind, role=role, seed="0")
        row |= made.measured(attribution_clean=clean, attribution_patched=patched, distance_left=0.5, moved=0.5)
        rows.append(row | made.measured(effect=effect, share_of_patch=effect / 3))
    return pd.DataFrame(rows)


def groups(readers: int = 2) -> pd.DataFrame:
    shares = {READERS: (readers, 0.3 * readers), MOVERS: (2, 0.5), ALL_HEADS: (24, 0.9), PATCH: (0, 1.0)}
    return pd.DataFrame(
        dict(seed=seed, group=group, heads=count) | made.measured(effect=3 * share, share_of_patch=share)
        for seed in (POOLED, *made.SEEDS)
        for group, (count, share) in shares.items()
    )


def test_heads_by_class_and_what_groups_of_them_carry():
    figure = drawn(trace_paths_figure(groups(), heads(), "resid8"))
    left, right, below = figure.axes
    assert shown(left) == [
        "readers", "mover 9.0", "negative mover 9.10", "minor readers", "9.2",
        "movers that do not read", "mover 9.3", "other heads", "10.0", "10.1", "10.2", "10.3",
    ]  # fmt: skip
    assert len(points(right)) == 8
    assert (0.0, 0.2) in intervals(right)
    assert [bar.get_width() for bar in below.patches] == pytest.approx([0.6, 0.5, 0.9])
    assert shown(below) == ["readers (2)", "movers (2)", "all heads downstream (24)"]
    assert "resid8" in left.get_title(loc="left")


def test_a_head_with_a_large_effect_is_shown_whatever_its_attribution():
    table = heads()
    table.loc[table["head"] == "10.15", ["effect", "effect_lo", "effect_hi"]] = 5.0
    assert "10.15" in shown(drawn(trace_paths_figure(groups(), table, "resid8")).axes[0])


def traced(folder, of_groups: pd.DataFrame, of_heads: pd.DataFrame):
    tables = {f"trace_paths/{name}/groups.csv": of_groups for name in made.COMPONENTS}
    tables |= {f"trace_paths/{name}/heads.csv": of_heads for name in made.COMPONENTS}
    return list(trace_paths.section(made.results(folder, tables)))


def test_the_readers_that_keep_their_attribution_are_counted(tmp_path):
    """Of 1.0 there is 0.85 left; -0.8 has turned to 0.7; what minor readers do is not asked."""
    sections = traced(tmp_path, groups(), heads())
    assert [section.pictures[0].name for section in sections] == ["trace_paths__resid8", "trace_paths__mlp8"]
    text = sections[0].reading
    assert "the 2 readers carry 0.60 [0.50, 0.70]; movers 0.50" in sections[0].answer
    assert "in part bears that out" in text
    assert "1 of 2 readers keep" in text
    assert "turned, which is where a head that follows the source's value would go, 1 of 2" in text
    assert "Single heads: seed 0, the first." in text
    of_groups, of_heads = sections[0].grids
    assert of_groups.rows[0] == ["readers", "2", "1.80 [1.70, 1.90]", "0.60 [0.50, 0.70]", "0.60, 0.60"]
    assert [row[0] for row in of_heads.rows] == ["9.10", "9.0", "9.2", "9.3"]


def test_what_the_post_says_of_ioi_is_said_of_ioi_alone(tmp_path):
    tables = {
        f"trace_paths/{made.V_TRUE}/{name}.csv": rows for name, rows in (("groups", groups()), ("heads", heads()))
    }
    results = made.results(tmp_path, tables, task="agreement", experiments=dict(trace_paths=[made.V_TRUE]))
    (section,) = trace_paths.section(results)
    assert "The post" not in section.reading
    assert "Under the patch 1 of 2 readers keep" in section.reading


def test_paths_without_readers_or_effect(tmp_path):
    none = heads().assign(reader=OTHER, role=OTHER)
    lost = groups(0)
    lost[["share_of_patch", "share_of_patch_lo", "share_of_patch_hi"]] = np.nan
    section, _ = traced(tmp_path, lost, none)
    assert section.answer == "There are no readers here."
    assert "The post" not in section.reading
    drawn(section.pictures[0].figure)


# split_directions


def splits() -> pd.DataFrame:
    effects = dict(zip(READ_PARTS, (5.0, 4.5, 0.1, 4.0, 0.7), strict=True))
    rows = []
    for method, seeds in ((TRAINED, (POOLED, *made.SEEDS)), (GRADIENT, (POOLED,)), (MEAN_DIFFERENCE, (POOLED,))):
        for seed in seeds:
            for part, effect in effects.items():
                drawn_at = part in (RANDOM_SEEN, RANDOM_UNSEEN)
                draws = {POOLED: 0.0} | ({"0": -0.2, "1": 0.2} if seed == POOLED else {}) if drawn_at else {None: 0.0}
                for draw, more in draws.items():
                    row = dict(subspace=method, part=part, seed=seed, draw=draw, norm=0.9, chance_norm=0.8, pairs=20)
                    shares = dict(row_share=0.9, random_row_share=0.8) if part == UNDIVIDED else {}
                    rows.append(row | made.patched(effect + more, **shares))
    return pd.DataFrame(rows)


def test_parts_beside_their_norms_and_random_subspaces():
    figure = drawn(split_directions_figure(with_keys(splits())))
    left, right = figure.axes
    assert shown(left)[:7] == ["trained direction", *READ_PARTS, "gradient direction"]
    assert sorted(x for x, _ in points(left)) == [0.1] * 3 + [0.7] * 3 + [4.0] * 3 + [4.5] * 3 + [5.0] * 3
    assert len(points(right)) == 15
    assert {"clean logit difference", "single random subspaces"} <= set(words(figure).splitlines())
    assert any(line.get_xdata()[0] == made.LD_CLEAN for line in left.lines)


def test_what_the_rank_of_the_readers_explains(tmp_path):
    (section,) = split_directions.section(made.results(tmp_path, {"split_directions/resid8.csv": splits()}))
    assert "see 64% of the dimensions" in section.reading
    assert "through their queries" in section.reading
    assert "gradient, on training pairs, of the readers' attention" in section.reading
    assert "the readers has 0.90 [0.80, 1.00], that along random subspaces 0.80 [0.70, 0.90]" in section.answer
    parts, shares = section.grids
    assert [row[1] for row in parts.rows] == list(READ_PARTS) * 3
    assert parts.rows[3][4:6] == ["4.00 [3.90, 4.10]", "3.80 to 4.20"]
    assert shares.rows[0] == [TRAINED, "0.90 [0.80, 1.00]", "0.90, 0.90", "0.80 [0.70, 0.90]", "0.80, 0.80"]


def test_ones_own_direction_before_end_is_split_by_what_looks_back(tmp_path):
    own = splits().query("subspace == @MEAN_DIFFERENCE").assign(subspace=made.PROBE_KEY.subspace)
    table = pd.concat([own, splits().query("subspace != @GRADIENT")])
    changed = {"split_directions/resid8.csv": table, "prompts.parquet": made.prompts().assign(position=1)}
    (section,) = split_directions.section(made.results(tmp_path, changed, task="agreement"))
    assert "gradient" not in section.reading
    assert "keys and values, looking back at it from END" in section.reading
    assert list(dict.fromkeys(row[0] for row in section.grids[0].rows)) == [TRAINED, made.PROBE, MEAN_DIFFERENCE]
    assert shown(drawn(section.pictures[0].figure).axes[0])[6] == f"{made.PROBE} direction"


def test_directions_that_no_reader_splits(tmp_path):
    whole = splits().query("part == @UNDIVIDED").drop(columns=["row_share", "random_row_share"])
    (section,) = split_directions.section(made.results(tmp_path, {"split_directions/resid8.csv": whole}))
    assert "No reader was found" in section.answer
    assert [row[1] for row in section.grids[0].rows] == [UNDIVIDED] * 3
    assert len(section.grids) == 1
    assert SEEN not in words(drawn(section.pictures[0].figure))


# tell_names


def told(p: float, omega_squared: float = 0.2) -> pd.DataFrame:
    rows = []
    for half, name in ((half, name) for half in (ALIKE, UNALIKE) for name in ("IO", "S")):
        for method, count, of_p, share, left in ((TRAINED, 2, p, 1.0, 0.05), (RANDOM, 50, 0.3, 0.1, 0.5)):
            about = dict(
                subspace=method,
                seed=POOLED,
                half=half,
                permutations=500,
                name=name,
                directions=count,
                names=20,
                units=40,
            )
            rows.append(about | dict(f=1.5, omega_squared=omega_squared, p=of_p, share_told=share, left=left))
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("p", "omega_squared", "says"),
    [
        (0.01, 0.2, "does tell the names apart (p = 0.010), but what the names explain is 0.010 of its whole variance"),
        (0.2, -0.1, "is not shown (p = 0.200; what the names explain is 0.000 of its whole variance)"),
        (np.nan, np.nan, "IO, alike in both positions: no name comes often enough to tell."),
        (
            1 / 501,
            0.2,
            "S, differing between them: the projection on the trained direction does tell the names apart (p",
        ),
    ],
)
def test_what_names_are_of_the_projection(tmp_path, p, omega_squared, says):
    table = told(p, omega_squared)
    (section,) = tell_names.section(made.results(tmp_path, {"tell_names/resid8.csv": table}))
    assert says in section.reading
    assert [row[:3] for row in section.grids[0].rows] == [
        [method, half, name] for half in (ALIKE, UNALIKE) for name in ("IO", "S") for method in (TRAINED, RANDOM)
    ]
    assert [picture.name for picture in section.pictures] == ["tell_names__resid8"]
    assert drawn(section.pictures[0].figure)


def test_names_shares_of_what_is_left_and_of_the_whole():
    of_left, of_whole = drawn(tell_names_figure(with_keys(told(1 / 501).query("half == @ALIKE")))).axes
    assert shown(of_left) == [TRAINED, "IO", "S", RANDOM, "IO", "S"]
    assert [bar.get_width() for bar in of_left.patches] == pytest.approx([0.2] * 4)
    assert [bar.get_width() for bar in of_whole.patches] == pytest.approx([0.01, 0.01, 0.1, 0.1])
    assert [text.get_text() for text in of_left.texts] == ["p: < 1/500", "p: < 1/500", "p: 0.300", "p: 0.300"]
