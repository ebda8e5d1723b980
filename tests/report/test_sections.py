"""The report's own sections: the abstract example, the prompts, the localisation, the verdict; and all in order."""

from pathlib import Path

import pandas as pd
import pytest

import made
from drawing import drawn, points, shown, words
from planted_made import cases as planted_cases
from subspace_illusion.report.findings import findings
from subspace_illusion.report.plots.localise import localise_figure, localise_map_figure
from subspace_illusion.report.plots.style import plt
from subspace_illusion.report.sections import localise, prompts, toy_example
from subspace_illusion.report.sections.calibration import in_words
from subspace_illusion.report.sections.off_distribution import section as off_distribution
from subspace_illusion.report.sections.sure import cannot_see, sure
from subspace_illusion.report.sections.verdict import (
    answer,
    evidence_grid,
    rules,
    sweep_picture,
    verdict_grid,
    verdict_picture,
)
from subspace_illusion.verdict.calibration import calibrate
from subspace_illusion.verdict.judge import judge

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
    assert section.reading.startswith("4 training and 4 held-out prompts. Of 8 pairs the model gets 1 wrong, 12%")
    assert "kept all the same" in section.reading
    counts, patterns = section.grids
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
    assert section.asks == "Pairs of prompts that differ in the subject's number; train and test share no prompt."
    assert "The model gets all 8 pairs right" in section.reading
    assert "One held-out prompt of each value, in brackets the token" in section.reading
    assert "(the task's own token)" in section.reading
    _, examples = section.grids
    assert examples.header == ["value", "prompt", "answer", "foil"]
    assert examples.rows == [
        ["S first", "The [keys] are", "is", "singer"],
        ["S second", "The [keys] are", "singer", "is"],
    ]


def test_of_many_values_a_few_are_shown(tmp_path):
    many = pd.concat([made.pairs()] * 5, ignore_index=True)
    many["base_value"] = [f"value {place:02d}" for place in range(len(many))]
    (section,) = prompts.section(made.results(tmp_path, {"activations/pairs.parquet": many}, task="facts"))
    assert "One held-out prompt of 6 of the 42 values (END)." in section.reading
    assert len(section.grids[1].rows) == 6
    assert section.grids[1].header == ["value", "prompt"]


def test_pairs_that_were_left_out_are_counted(tmp_path):
    pairs = made.pairs()
    changed = {"activations/pairs.parquet": pairs.assign(kept=pairs["right"])}
    (section,) = prompts.section(made.results(tmp_path, changed))
    assert "They are counted and left out." in section.reading
    assert section.grids[0].rows[0][-1] == "1"


def test_a_token_without_a_plain_place_has_no_brackets():
    assert prompts.marked([0, 1], 1, lambda ids: " ".join(WORDS[number] for number in ids)) == "The  [keys]"
    assert prompts.marked([0, 1], 0, lambda ids: "x" if len(ids) > 1 else "y") is None


def test_the_localisation_says_that_it_saw_training_pairs_alone(tmp_path):
    results = made.results(tmp_path)
    (section,) = localise.section(results)
    assert section.reading.startswith("A rule. Measured on 64 training pairs")
    assert "block 1 writes it, and block 2 reads it; the MLP of block 1 lies between" in section.reading
    assert "Which block writes the place of the repeated name to END" in section.asks
    assert "tokens that differ 0.90 [0.80, 1.00] after block 0; END 1.00 [0.90, 1.10] after block 1." in section.reading
    assert [picture.name for picture in section.pictures] == ["localise", "localise_map"]
    assert [row[0] for row in section.grids[0].rows] == ["0", "1", "2"]
    assert section.grids[0].rows[1][1] == "0.50 [0.40, 0.60]"


def test_a_window_without_an_mlp(tmp_path):
    changed = {"localise/window.json": dict(rule="A rule.", pairs=64, writes=1, reads=2, mlps=[])}
    (section,) = localise.section(made.results(tmp_path, changed))
    assert "no MLP lies between" in section.reading


def test_the_picture_of_the_localisation(tmp_path):
    figure = drawn(localise_figure(made.results(tmp_path).table("localise/components.csv"), 1, 2, "END"))
    assert {"block 1 writes", "block 2 reads"} <= set(words(figure).splitlines())
    assert list(figure.axes[0].lines[0].get_ydata()) == [0.0, 0.5, 1.0]


def test_the_map_writes_the_largest_share_of_every_kind_of_token():
    figure = drawn(localise_map_figure(made.mapped()))
    axis, bar = figure.axes
    assert shown(axis) == ["tokens that differ", "END"]
    assert [(text.get_position(), text.get_text()) for text in axis.texts] == [((0, 0), "0.90"), ((1, 1), "1.00")]
    (image,) = axis.images
    assert image.get_clim() == (-1.0, 1.0)
    assert "clean LD" in bar.get_ylabel()


def test_the_map_of_nothing_is_drawn_too():
    drawn(localise_map_figure(made.mapped().assign(fldd=0.0)))


OPTIONAL = (
    "toy_example", "localise", "find_readers", "trace_paths", "split_directions", "tell_names", "random_mlp",
    "recover_directions", "read_signs", "compare_mlps", "neuron_sweep", "controls",
)  # fmt: skip


@pytest.mark.parametrize("name", OPTIONAL)
def test_an_experiment_that_was_left_out_has_no_section_whatever_files_there_are(tmp_path, name):
    from subspace_illusion.report import contents

    assert list(getattr(contents, name)(made.results(tmp_path, experiments={}))) == []


# verdict


def test_the_answer_says_no_more_than_the_figures(tmp_path):
    results = made.results(tmp_path)
    text = answer(results, findings(results), made.verdicts())
    assert "flips (LD < 0) 0.83 of the held-out predictions and makes S the top token in 0.54." in text
    assert "takes 3.00 off a logit difference of 4.00" in text
    assert "Patching that whole MLP does no damage (effect -1.00)" in text
    assert "0.70 is lent by the null part" in text
    assert "v_true is faithful and v_mlp is illusory" in text


def test_the_answer_of_another_task_without_v_mlp_but_with_ones_own(tmp_path):
    about = dict(task="agreement", v_mlp=None, own={made.V_MLP: [made.PROBE]}, untrained=[made.V_MLP], experiments={})
    changed = made.with_own() | {"prompts.parquet": made.prompts().assign(position=1)}
    results = made.results(tmp_path, changed, **about)
    scores = made.scores() | {made.PROBE_KEY.at(made.V_MLP): made.score(0.05, lent=0.5, lost=0.5)}
    judged = judge(scores, made.calibration(), 0.1)
    text = answer(results, findings(results), judged)
    assert "at the task's own token (resid8, v_true) from sources that differ in the subject's number flips" in text
    assert "makes the foil the top token in 0.54" in text
    assert "v_mlp" not in text
    assert (
        "Patching my probe at mlp8 takes off 0.15 [0.10, 0.20] of the clean logit difference; its whole component has "
        "-1.67 [-1.72, -1.62] of that effect; its row part alone 0.50 [0.45, 0.55]; of its variation 0.45 [0.40, 0.50] "
        "is lent by the null part."
    ) in text
    assert text.endswith("v_true is faithful and my probe at mlp8 is inconclusive.")


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
    assert f"Patching that whole MLP {does} " in answer(results, findings(results), made.verdicts())


def test_the_rules_say_the_formula_and_what_it_is_worth():
    text = rules(made.verdicts(), made.calibration(), 0.1)
    assert "score = (lent + lost + apart + off) / 4" in text
    assert "faithful up to 0.30 and illusory from 0.40" in text
    assert "4 verdicts were made, on 2 components, each by itself" in text
    assert "measured on 24 planted cases in tiny (ioi)" in text
    assert "of 8 illusory cases in 4 blocks 88% are called illusory and 0% faithful" in text
    assert "1.00 (no case of the one truth scores like one of the other)" in text
    assert "none of 4 blocks has a case that is illusory and called the other, which leaves room for up to 60%" in text


def test_the_grids_have_the_verdicts_and_the_figures_that_apply():
    verdicts = made.verdicts()
    assert verdict_grid(verdicts).rows[2][:3] == [made.V_MLP, "trained", "illusory"]
    rows = evidence_grid(verdicts).rows
    assert rows[0][2:] == [
        "1.25 [1.23, 1.27]", "0.07 [0.05, 0.09]", "not applicable", "0.10 [0.08, 0.12]", "0.04 [0.02, 0.06]",
        "not applicable",
    ]  # fmt: skip


def test_scores_lie_beside_what_planted_cases_score():
    figure = drawn(verdict_picture(made.verdicts(), made.calibration()).figure)
    above, below = figure.axes
    assert shown(above) == [
        made.V_TRUE, "trained: faithful", "mean difference: inconclusive",
        made.V_MLP, "trained: illusory", "mean difference: faithful",
    ]  # fmt: skip
    assert [text.get_text() for text in above.texts] == ["too few figures apply"]
    assert sum(len(line.get_xdata()) for line in below.lines) == 24
    assert below.get_ylabel() == "dose planted"


def test_the_sweep_shows_both_errors():
    above, below = drawn(sweep_picture(made.verdicts(), made.calibration()).figure).axes
    low, high = (line.get_ydata() for line in above.lines[:2])
    assert (low[0], low[-1]) == (0, 1)  # a threshold of 1 calls every case faithful
    assert (high[0], high[-1]) == (1, 0)
    assert below.lines[2].get_ydata()[0] == 3  # every score that is judged lies above 0


def test_how_sure_a_verdict_is_is_said_in_the_runs_own_figures(tmp_path):
    said = dict(sure(made.results(tmp_path), made.verdicts(), made.calibration()))
    assert "e1 in the standard basis is correlated and causal" in said["The component is the unit"]
    assert "of the mean difference 0.60 [0.58, 0.62] is lent and 0.00" in said["Null parts are everywhere"]
    assert "trained directions score from 0.10 to 0.10" in said["Intuitive explanations would count as illusions too"]
    without = dict(sure(made.results(tmp_path, v_mlp=None, experiments={}), {}, made.calibration()))
    assert "At " not in without["Null parts are everywhere"]


def test_what_is_said_of_error_rates_is_said_of_parts_of_the_cases_where_they_were_looked_at():
    few, many = made.calibration(), calibrate(planted_cases(), few_natural(), 0.1, 20, 0, made.calibration().about)
    assert "trained directions, and" not in in_words(few)
    assert "called faithful. A verdict on such" not in cannot_see(few)
    assert "in MLPs of tiny, for ioi." in cannot_see(few)
    told = in_words(many)
    assert "Of the illusory ones 16 are in the model's own MLPs, and 100% of these are called illusory" in told
    assert "Of the faithful ones 8 are trained directions, and 100% of these are called faithful" in told
    assert "(with the halves exchanged 100% of 8, and 0% illusory). The others could hardly fail" in told
    assert "; of 4 that are illusory by how they were made 0% are called faithful. A verdict" in cannot_see(many)


def few_natural() -> pd.DataFrame:
    return made.calibration().natural.drop(columns="called")


def test_distances_are_drawn_with_their_floor(tmp_path):
    (section,) = off_distribution(made.results(tmp_path))
    (picture,) = section.pictures
    component, output = drawn(picture.figure).axes
    assert shown(component) == ["all of it", "whole component", "trained", "what acts", "whole component", "trained"]
    assert len(points(output)) == 2
    assert section.grids[0].rows[0][-2:] == ["0.03 [0.02, 0.04]", "0.02"]
