"""The report's own sections: the abstract example, the prompts, the localisation, the verdict; and all in order."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import made
from drawing import drawn, intervals, points, shown, words
from subspace_illusion.core.outcome import NONE
from subspace_illusion.core.sites import Site
from subspace_illusion.report.findings.every import findings
from subspace_illusion.report.plots.localise import localise_figure, localise_map_figure
from subspace_illusion.report.plots.style import BLUE, GREEN, ORANGE, plt
from subspace_illusion.report.sections import evaluate, localise, prompts, toy_example
from subspace_illusion.report.sections.calibration import (
    compared_grid,
    goals_grid,
    held_out_grid,
    in_words,
    short_compared_grid,
    short_held_out_grid,
    words_grid,
)
from subspace_illusion.report.sections.off_distribution import section as off_distribution
from subspace_illusion.report.sections.sure import cannot_see, sure
from subspace_illusion.report.sections.verdict import (
    answer,
    evidence_grid,
    levels_grid,
    limits_grid,
    planted_picture,
    rules,
    verdict_grid,
    verdict_picture,
)
from subspace_illusion.subspace.keys import ABLATION, MEAN_DIFFERENCE, OWN, POOLED, STEERING, TRAINED, SubspaceKey
from subspace_illusion.verdict.intervals import Intervals
from subspace_illusion.verdict.rule import Limits

pytestmark = pytest.mark.filterwarnings("error")


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_the_contents_have_every_section_in_the_order_of_the_experiments():
    from subspace_illusion.report import contents

    names = [section.__module__.rpartition(".")[2] for section in contents.EXPERIMENTS]
    files = {path.stem for path in Path(toy_example.__file__).parent.glob("*.py")} - {
        "__init__",
        "verdict",
        "calibration",
        "claims",
        "sure",
    }
    assert set(names) == files
    assert len(names) == len(set(names))
    assert names[:3] == ["toy_example", "prompts", "localise"]
    assert names[-2:] == ["off_distribution", "facts"]


def test_the_abstract_example(tmp_path):
    (section,) = toy_example.section(made.results(tmp_path))
    assert section.title.startswith("E0")
    assert [picture.name for picture in section.pictures] == ["toy_example"]
    assert section.grids[0].rows[2] == ["e2 + e3", "into 1 from -1", "(1, 1, 0)", "(1, 0, -1)", "1", "-1"]
    assert len(section.grids) == 5


def test_the_prompts(tmp_path):
    (section,) = prompts.section(made.results(tmp_path))
    assert section.answer.startswith("Of 8 pairs the model gets 1 wrong,")
    assert "kept all the same" in section.answer
    prompts_of, counts, patterns = section.grids
    assert prompts_of.rows == [["4", "4"]]
    assert counts.rows[-1] == ["all", "", "8", "1", "8"]
    assert counts.rows[0] == ["different value", "training", "2", "1", "2"]
    assert [row[0] for row in patterns.rows] == ["ABB", "BAB", "CDD", "DCD"]


WORDS = ["The", " keys", " are", " singer", " is"]


def spell(ids) -> str:
    return "".join(WORDS[number] for number in ids)


def test_the_prompts_of_any_task_have_an_example_a_value_with_the_token_in_brackets(tmp_path):
    changed = {
        "prompts.parquet": made.prompts().drop(columns=["pattern", "io", "s"]).assign(position=1),
        "activations/pairs.parquet": made.pairs().assign(right=True),
    }
    results = made.results(tmp_path, changed, task="agreement", spell=spell)
    (section,) = prompts.section(results)
    assert section.asks.startswith("Which pairs of prompts, that differ in the subject's number alone")
    assert "Train and test share no prompt." in section.reading
    assert "The model gets all 8 pairs right" in section.answer
    assert "One held-out prompt of each value, in brackets the token" in section.reading
    assert "(the task's own token)" in section.reading
    *_, examples = section.grids
    assert examples.header == ["value", "prompt", "answer", "foil"]
    assert examples.rows == [
        ["S first", "The [keys] are", "is", "singer"],
        ["S second", "The [keys] are", "singer", "is"],
    ]


def test_several_right_answers_are_shown_in_the_row_that_was_read(tmp_path):
    pairs = made.pairs()
    sets = pairs.assign(answer_id=[[answer, 1] for answer in pairs["answer_id"]], foil_id=[[0, NONE]] * len(pairs))
    changed = {"prompts.parquet": made.prompts().assign(position=1), "activations/pairs.parquet": sets}
    row = prompts.read_row(made.results(tmp_path, changed, task="pairs", spell=spell))
    assert [list(row.answer), list(row.foil)] == [[" singer", " keys"], ["The"]]
    assert row.base[row.position] == " keys"


def test_of_many_values_a_few_are_shown(tmp_path):
    many = pd.concat([made.pairs()] * 5, ignore_index=True)
    many["base_value"] = [f"value {place:02d}" for place in range(len(many))]
    (section,) = prompts.section(made.results(tmp_path, {"activations/pairs.parquet": many}, task="facts"))
    assert "One held-out prompt of 6 of the 42 values (END)." in section.reading
    assert len(section.grids[-1].rows) == 6
    assert section.grids[-1].header == ["value", "prompt"]


def test_pairs_that_were_left_out_are_counted(tmp_path):
    pairs = made.pairs()
    changed = {"activations/pairs.parquet": pairs.assign(kept=pairs["right"])}
    (section,) = prompts.section(made.results(tmp_path, changed))
    assert "they are counted and left out." in section.answer
    assert section.grids[1].rows[0][-1] == "1"


def test_a_token_without_a_plain_place_has_no_brackets():
    assert prompts.marked([0, 1], 1, lambda ids: " ".join(WORDS[number] for number in ids)) == "The  [keys]"
    assert prompts.marked([0, 1], 0, lambda ids: "x" if len(ids) > 1 else "y") is None


def test_the_localisation_says_that_it_saw_training_pairs_alone(tmp_path):
    results = made.results(tmp_path)
    (section,) = localise.section(results)
    assert section.reading.startswith("A rule. Measured on 64 training pairs")
    assert "block 1 writes it, and block 2 reads it; the MLP of block 1 lies between" in section.answer
    assert "Which block writes the place of the repeated name to END" in section.asks
    assert [row[:3] for row in section.grids[1].rows] == [
        ["tokens that differ", "0", "0.90 [0.80, 1.00]"],
        ["END", "1", "1.00 [0.90, 1.10]"],
    ]
    assert [picture.name for picture in section.pictures] == ["localise", "localise_map"]
    assert [row[0] for row in section.grids[0].rows] == ["0", "1", "2"]
    assert section.grids[0].rows[1][1] == "0.50 [0.40, 0.60]"


def test_a_window_without_an_mlp(tmp_path):
    changed = {"localise/window.json": dict(rule="A rule.", pairs=64, writes=1, reads=2, mlps=[])}
    (section,) = localise.section(made.results(tmp_path, changed))
    assert "no MLP lies between" in section.answer


def test_the_picture_of_the_localisation(tmp_path):
    figure = drawn(localise_figure(made.results(tmp_path).table("localise/components.csv"), 1, 2, "END"))
    assert {"block 1 writes", "block 2 reads"} <= set(words(figure).splitlines())
    assert list(figure.axes[0].lines[0].get_ydata()) == [0.0, 0.5, 1.0]


def test_blocks_without_heads_are_gaps_in_the_picture(tmp_path):
    localised = made.results(tmp_path).table("localise/components.csv")
    of_heads = localised["kind"] == "head"
    some = drawn(localise_figure(localised[~of_heads | (localised["block"] > 0)], 1, 2, "END"))
    (image,) = some.axes[1].images
    gaps = np.ma.getmaskarray(image.get_array()).all(0)
    assert gaps.tolist() == [block == 0 for block in range(localised["block"].max() + 1)]
    assert len(drawn(localise_figure(localised[~of_heads], 1, 2, "END")).axes) == 1


def test_the_map_writes_the_largest_share_of_every_kind_of_token():
    figure = drawn(localise_map_figure(made.mapped()))
    axis, bar = figure.axes
    assert shown(axis) == ["tokens that differ", "END"]
    assert [(text.get_position(), text.get_text()) for text in axis.texts] == [((0, 0), "0.90"), ((1, 1), "1.00")]
    (image,) = axis.images
    assert image.get_clim() == (-1.0, 1.0)
    assert "clean LD" in bar.get_ylabel()


def test_the_map_of_nothing_is_drawn_too():
    figure = drawn(localise_map_figure(made.mapped().assign(fldd=0.0)))
    (image,) = figure.axes[0].images
    low, high = image.get_clim()
    assert np.isfinite([low, high]).all()
    assert low < high


OPTIONAL = (
    "toy_example", "localise", "find_readers", "trace_paths", "split_directions", "tell_names", "random_mlp",
    "recover_directions", "read_signs", "compare_mlps", "neuron_sweep", "controls", "repair",
)  # fmt: skip


@pytest.mark.parametrize("name", OPTIONAL)
def test_an_experiment_that_was_left_out_has_no_section_whatever_files_there_are(tmp_path, name):
    from subspace_illusion.report import contents

    assert list(getattr(contents, name)(made.results(tmp_path, experiments={}))) == []


# verdict


def test_the_answer_says_no_more_than_the_figures(tmp_path):
    results = made.results(tmp_path)
    text = answer(results, findings(results))
    assert "flips (LD < 0) 0.83 of the held-out predictions and makes S the top token in 0.54." in text
    assert "takes 3.00 off a logit difference of 4.00" in text
    assert "Patching that whole MLP does no damage (effect -1.00)" in text
    assert "0.70 is lent by the null part" in text


def test_the_answer_of_another_task_without_v_mlp_but_with_ones_own(tmp_path):
    about = dict(task="agreement", v_mlp=None, own={made.V_MLP: [made.PROBE]}, untrained=[made.V_MLP], experiments={})
    changed = made.with_own() | {"prompts.parquet": made.prompts().assign(position=1)}
    results = made.results(tmp_path, changed, **about)
    text = answer(results, findings(results))
    assert "at the task's own token (resid8, v_true) from sources that differ in the subject's number flips" in text
    assert "makes the foil the top token in 0.54" in text
    assert "v_mlp" not in text
    assert (
        "Patching my probe at mlp8 takes off 0.15 [0.10, 0.20] of the clean logit difference; its whole component has "
        "-1.67 [-1.72, -1.62] of that effect; its row part alone 0.50 [0.45, 0.55]; of its variation 0.45 [0.40, 0.50] "
        "is lent by the null part."
    ) in text


@pytest.mark.parametrize(
    ("effect", "half", "does"),
    [
        (1.0, 0.1, "does damage too"),
        (0.05, 0.1, "does nothing that can be told from zero"),
        (0.0, 0.0, "does nothing that can be told from zero"),
    ],
)
def test_what_the_whole_mlp_does_is_read_off_its_interval(tmp_path, effect, half, does):
    table = made.effects()
    whole = (table["component"] == made.V_MLP) & (table["subspace"] == "whole component")
    for name, value in made.patched(effect, half=half).items():
        table.loc[whole, name] = value
    results = made.results(tmp_path, {"effects.csv": table})
    assert f"Patching that whole MLP {does} " in answer(results, findings(results))


def test_the_rules_say_the_formula_and_what_it_is_worth():
    text = rules(made.calibration(), 0.1)
    assert "the own-difference share, own" in text
    assert "In the residual stream it is sqrt(own * match)" in text
    assert "the whole of it from 0.5 on is faithful, up to 0.5 illusory, and all else inconclusive." in text
    assert "does not exceed 0.1 of the clean logit difference" in text
    assert "Each verdict is made by itself and by one rule" in text
    assert "without those of the subspace's own model and block" in text
    assert levels_grid(made.calibration()).rows == [
        ["writes to the stream", "8", "89%"],
        ["the stream", "8", "89%"],
        ["needed for 90%", "9", "90%"],
    ]
    assert text.endswith(in_words(made.calibration()))
    assert "from 0.7 on is faithful, up to 0.3 illusory" in rules(made.calibration(), 0.1, Limits(0.3, 0.7))
    assert limits_grid(0.1, Limits(0.3, 0.7)).rows == [["0.3", "0.7", "0.1"]]


def test_how_good_the_estimate_is_on_models_that_were_left_out():
    text = in_words(made.calibration())
    assert "Each of 2 models (tiny, other; ioi, agreement) was left out in turn. On 672 cases" in text
    assert "the median error is 0.05, where the best constant has 0.25" in text
    assert "For 672 of them the other models give an interval. Of these 100% lie in it, where 80% were promised" in text
    none = replace(made.calibration(), pooled=dict(made.calibration().pooled) | dict(told=0))
    assert in_words(none).endswith("The other models' cases are of too few blocks for intervals.")
    assert text.endswith(
        "0% of those with a mediated share up to 0.2 are called faithful and 0% of those with a mediated share from "
        "0.8 on are called illusory. Of those of either end, so many are inconclusive, model by model: 0% to 0% "
        "(writes to the stream), 0% to 0% (the stream)."
    )
    pooled = dict(made.calibration().pooled) | dict(below_02_called_faithful=None)
    without = in_words(replace(made.calibration(), pooled=pooled))
    assert "promised. Called wrongly: 0% of those with a mediated share from 0.8 on are called illusory." in without


def test_every_model_that_was_left_out_has_a_row_a_kind_of_place():
    grid = held_out_grid(made.calibration())
    assert [row[:2] for row in grid.rows] == [
        *([model, kind] for model in ("tiny", "other") for kind in ("writes to the stream", "the stream")),
        ["all", "all"],
    ]
    assert dict(zip(grid.header, grid.rows[1], strict=True)) == {
        "model left out": "tiny", "kind of place": "the stream", "cases": "168", "blocks": "4", "median error": "0.15",
        "best constant's": "0.25", "with an interval": "168", "in the interval": "100%", "promised": "80%",
        "up to 0.2, called faithful": "0%", "from 0.8 on, called illusory": "0%", "called": "76%",
        "wrong of those called faithful": "0%", "wrong of those called illusory": "0%",
        "inconclusive of either end": "0%",
    }  # fmt: skip


def test_in_short_every_kind_of_place_has_one_row():
    calibration = made.calibration()
    grid = short_held_out_grid(calibration)
    assert grid.header[:2] == ["tiny, other left out", "median error"]
    assert [row[:3] for row in grid.rows] == [
        ["MLP neurons, heads", "0.05, 0.05", "100%, 100%"],
        ["residual stream", "0.15, 0.15", "100%, 100%"],
    ]
    compared = short_compared_grid(calibration)
    assert compared.header == ["median error", "MLP neurons, heads", "residual stream"]
    assert [row[0] for row in compared.rows] == ["the estimate"]


def test_goals_are_asked_place_by_place():
    grid = goals_grid(made.calibration())
    assert grid.header[:4] == ["model left out", "place", "blocks", "median error at most 0.10, in the stream 0.15"]
    assert [row[:5] for row in grid.rows] == [
        [model, kind, "4", f"yes ({error})", "NO (1.00)"]
        for model in ("other", "tiny")
        for kind, error in (("writes to the stream", "0.05"), ("the stream", "0.15"))
    ]


def test_which_estimates_get_a_word_is_told_in_stretches():
    calibration = made.calibration()
    assert words_grid(calibration).rows == [
        ["writes to the stream", "0.00 to 0.45", "0.55 to 1.00"],
        ["added to the stream", "never", "never"],
        ["the stream", "0.00 to 0.35", "0.65 to 1.00"],
    ]
    cases = calibration.planted.cases
    wide = cases["truth"].where((cases["estimate"] < 0.9) | (cases["kind"] == "the stream"), 0)
    grid = words_grid(replace(calibration, planted=Intervals(cases.assign(truth=wide))))
    assert grid.rows[0] == ["writes to the stream", "0.00 to 0.45", "0.55 to 0.89"]


def test_what_else_a_verdict_could_rest_on_stands_beside_the_estimate():
    grid = compared_grid(made.calibration())
    assert len(grid.header) == len(grid.rows[0])
    assert grid.header[1] == "tiny, writes to the stream"
    assert {row[0]: row[1] for row in grid.rows} == {"the estimate": "0.05", "size of the effect": "0.25"}
    lacking = made.calibration().evidence.assign(median_error=np.nan)
    assert set(compared_grid(replace(made.calibration(), evidence=lacking)).rows[0][1:]) == {""}


def test_the_grids_have_the_verdicts_and_what_they_rest_on():
    verdicts = made.verdicts()
    assert verdict_grid(verdicts).rows[2][:3] == [made.V_MLP, "trained", "illusory"]
    rows = evidence_grid(verdicts).rows
    assert rows[2][2:] == [
        "0.75 [0.73, 0.77]", "-0.25 [-0.27, -0.23]", "0.04 [0.02, 0.06]", "0.00", "0.04 [0.00, 0.09]",
        "planted cases elsewhere: 32 cases, 89% promised",
    ]  # fmt: skip


def keys_alone() -> dict:
    """A subspace of keys, where nothing can be planted."""
    return {made.PROBE_KEY.at("keys"): replace(made.seen(), site=Site.parse("blocks.3.attn.hook_k"))}


def test_what_has_no_interval_says_so():
    verdicts = made.judged(keys_alone())
    (row,) = evidence_grid(verdicts).rows
    assert row[-2:] == ["", "too little planted in such places"]
    (above,) = drawn(verdict_picture(verdicts).figure).axes
    assert [text.get_text() for text in above.texts] == ["no interval: too little planted in such places"]
    assert points(above) == []


def test_estimates_lie_on_the_scale_of_what_planted_cases_had():
    (above,) = drawn(verdict_picture(made.verdicts()).figure).axes
    figure = drawn(planted_picture(made.calibration()).figure)
    (below,) = figure.axes
    assert shown(above) == [
        made.V_TRUE, "trained: faithful", "mean difference: faithful",
        made.V_MLP, "trained: illusory", "mean difference: faithful",
    ]  # fmt: skip
    assert {(x, y) for x, y in points(above, ORANGE)} == {(0.04, 4.0)}
    assert [x for x, _ in points(above, BLUE)] == [0.929516, 0.954158, 1.0]
    assert (0.0, 0.09) in intervals(above)
    assert above.get_xlim() == below.get_xlim()
    assert len(points(below)) == 672
    assert len(points(below, GREEN)) == 336
    assert "other: 336 planted cases" in words(figure)
    assert below.get_xlabel() == "mediated share, estimated"


def test_the_zones_are_where_the_share_speaks():
    axis = drawn(verdict_picture(made.verdicts(), Limits(0.3, 0.7)).figure).axes[0]
    illusory, faithful = (patch.get_extents().transformed(axis.transData.inverted()) for patch in axis.patches[:2])
    assert (illusory.x1, faithful.x0) == (pytest.approx(0.3), pytest.approx(0.7))


def test_subspaces_stand_under_their_components_however_they_are_listed():
    verdicts = made.verdicts()
    mixed = {key: verdicts[key] for key in [*verdicts][::2] + [*verdicts][1::2]}
    above = drawn(verdict_picture(mixed).figure).axes[0]
    assert shown(above)[4] == "trained: illusory"
    assert points(above, ORANGE) == [(0.04, 4.0)]


def test_how_sure_a_verdict_is_is_said_in_the_runs_own_figures(tmp_path):
    said = dict(sure(made.results(tmp_path), made.verdicts(), made.calibration()))
    assert "In the standard basis e1 is correlated and causal; e2" in said["The component is the unit"]
    assert said["Null parts are everywhere"].endswith(
        "At mlp8, of the trained direction that is an estimated 0.04 [0.00, 0.09]: illusory; of the mean difference "
        "that is an estimated 1.00 [0.95, 1.00]: faithful."
    )
    intuitive = said["Intuitive explanations would count as illusions too"]
    assert "of 672 planted cases 23% have a mediated share up to 0.2 and 24% one from 0.8 on" in intuitive
    without = dict(sure(made.results(tmp_path, v_mlp=None, experiments={}), {}, made.calibration()))
    assert "At " not in without["Null parts are everywhere"]


def test_what_no_planted_case_tells_is_said():
    text = cannot_see(made.calibration())
    assert "along one direction, in tiny and other, for ioi and agreement; planes of two are among" in text
    assert "measured by leaving each of these out" in text
    assert "does by itself more than 0.1 of what the signal adds" in text
    assert "promises its level, less than 90 % where it is from few blocks" in text
    assert "0.05 (writes to the stream), 0.15 (the stream)" in text
    one = replace(made.calibration(), planted=Intervals(made.planted().query("task == 'ioi'")))
    assert "for ioi; planes" in cannot_see(one)


def test_what_is_done_along_a_subspace_is_in_the_table_of_effects_and_not_in_pictures(tmp_path):
    more = [SubspaceKey(TRAINED).of_part(part) for part in (OWN, ABLATION, STEERING)]
    more += [made.PROBE_KEY.of_part(part) for part in (OWN, ABLATION, STEERING)]
    more.append(SubspaceKey(MEAN_DIFFERENCE).of_part(OWN))
    about = dict(component=made.V_MLP, seed=POOLED, pairs=4, groups=2)
    added = pd.DataFrame([about | dict(subspace=key.subspace) | made.patched(0.2) for key in more])
    tables = made.with_own()
    effects = pd.concat([tables["effects.csv"].assign(pairs=4, groups=2), added])
    tables |= {"effects.csv": effects, "templates.csv": made.effects().assign(template=0)}
    (patching,) = evaluate.section(made.results(tmp_path, tables, own={made.V_MLP: [made.PROBE]}))
    listed = [row[1] for row in patching.grids[1].rows]
    assert {key.subspace.replace("user: ", "") for key in more} <= set(listed)
    assert listed.index("own difference") == listed.index("trained") + 1
    assert listed.index("steering") < listed.index(made.PROBE)
    for picture in patching.pictures:
        assert not re.search("own difference|ablation|steering", words(drawn(picture.figure)))
    assert "verdicts rest on it" in patching.reading


def test_distances_are_drawn_with_their_floor(tmp_path):
    (section,) = off_distribution(made.results(tmp_path))
    (picture,) = section.pictures
    component, output = drawn(picture.figure).axes
    assert shown(component) == ["all of it", "whole component", "trained", "what acts", "whole component", "trained"]
    assert len(points(output)) == 2
    assert section.grids[0].rows[0][-2:] == ["0.03 [0.02, 0.04]", "0.02"]
