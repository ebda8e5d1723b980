import ast
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import made
from subspace_illusion.errors import InputError
from subspace_illusion.files import read_table
from subspace_illusion.pipeline.layout import CLAIMED, PUBLISHED
from subspace_illusion.report.calibration import metrics_of
from subspace_illusion.report.claims import claims_table
from subspace_illusion.report.findings.every import findings
from subspace_illusion.report.findings.finding import BOOTSTRAP, Finding
from subspace_illusion.report.findings.tables import decomposition, findings_table
from subspace_illusion.report.first_screen import verdict_lines
from subspace_illusion.report.readme import (
    HEADLINE_ROWS,
    README_ROWS,
    findings_block,
    headline,
    metrics,
    readme_table,
    with_block,
)
from subspace_illusion.report.sections.verdict import evidence_grid
from subspace_illusion.report.verdict import verdict_table
from subspace_illusion.report.verdicts_block import verdicts_block
from subspace_illusion.statistics import Estimate
from subspace_illusion.subspace.keys import NULL


@pytest.fixture
def found(tmp_path):
    return {finding.key: finding for finding in findings(made.results(tmp_path))}


def test_measures_on_pairs_have_their_interval_and_their_seeds(found):
    finding = found["v_true.logit_diff"]
    assert finding.estimate == Estimate(-1.0, -1.05, -0.95, (pytest.approx(-1.1), pytest.approx(-0.9)))
    assert finding.interval == BOOTSTRAP
    assert finding.spread == "-1.05 to -0.95; seeds: -1.10, -0.90"


def test_flipping_is_told_from_making_s_the_top_token(found):
    assert found["v_true.flip_rate"].estimate.value == 0.83
    assert "LD < 0" in found["v_true.flip_rate"].words
    assert found["v_true.interchange_accuracy"].estimate.value == 0.54
    assert "top token" in found["v_true.interchange_accuracy"].words


def test_what_no_resampling_moves_has_no_interval(found):
    null = found["v_mlp.null_only.effect"]
    assert (null.estimate.low, null.estimate.high, null.interval) == (None, None, "")
    assert found["neurons.r2"].spread == ""


def test_of_seeds_the_single_values_are_shown_and_no_range_is_an_interval(found):
    cosine = found["v_mlp.cos_v_true"]
    assert cosine.estimate == Estimate(0.5, each=(0.5, 0.5))
    assert cosine.spread == "seeds: 0.50, 0.50"


def test_of_regressions_blocks_are_shown_and_no_standard_deviation(found):
    r2 = found["recovery.r2"]
    assert r2.estimate.value == pytest.approx(0.55)
    assert r2.estimate.each == pytest.approx((0.35, 0.75))
    assert r2.estimate.low is None
    many = Finding("k", "w", Estimate.over([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]), singles="blocks")
    assert many.spread == "8 blocks: from 0.10 to 0.80"
    assert found["signs.z0_01"].estimate.value == pytest.approx(0.51)


def test_the_first_text_stands_beside_what_was_published_and_others_beside_it(found):
    assert found["recovery.r2"].words.endswith("text: tiny")
    assert found["recovery.other.r2"].estimate.value == pytest.approx(0.35)
    assert found["recovery.other.r2"].words.endswith("text: other")
    assert "signs.other.z0_1" in found
    assert "signs.other.z0_01" not in found


def test_logit_differences_bring_the_share_of_their_own_pairs(found):
    """The split has fewer pairs with another clean LD than the rest; its share is not of the others' clean LD."""
    assert found["table1.das.nullspace.logit_diff"].share.value == pytest.approx(0.1 / 3.6)
    assert found["v_mlp.logit_diff"].share.value == pytest.approx(3.0 / 4.0)
    assert found["v_true.flip_rate"].share is None


def test_experiments_of_each_role(found):
    assert found["v_true.paths.readers"].estimate.value == 0.8
    assert "v_true.paths.movers" not in found  # a group without heads
    assert found["v_mlp.paths.all_heads_downstream"].estimate.value == 1.0
    assert found["random_mlp.share_of_real"].spread == "1.40 to 1.60; draws: 1.33, 1.67"
    assert found["controls.v_true.random"].estimate.value == 0.01
    assert found["controls.v_true.random_model"].estimate.value == 0
    assert found["controls.v_true.label_accuracy"].estimate.value == 0.5
    assert "controls.v_mlp.random" not in found
    assert found["v_true.names.IO"].words.endswith("(p: 0.300)")
    assert found["v_mlp.lent_effect"].estimate.value == 0.67


def test_an_experiment_that_was_left_out_has_no_findings_whatever_files_there_are(tmp_path):
    keys = {finding.key.split(".")[0] for finding in findings(made.results(tmp_path, experiments={}))}
    assert keys == {"clean", "residual", "v_true", "mean_difference", "v_mlp", "dormant"}


def test_controls_without_a_random_model(tmp_path):
    found = {finding.key for finding in findings(made.results(tmp_path, experiments=dict(controls=[made.V_TRUE])))}
    assert "controls.v_true.random" in found
    assert "controls.v_true.random_model" not in found


def test_without_v_mlp_nothing_is_said_of_it(tmp_path):
    results = made.results(tmp_path, v_mlp=None)
    found = findings(results)
    assert not [finding.key for finding in found if "v_mlp" in finding.key + finding.words]
    verdicts = made.verdicts()
    assert "v_mlp" not in metrics({}, results, found, verdicts, made.calibration())
    assert "v_mlp" not in headline(results, found, verdicts)
    called = claims_table(read_table(CLAIMED), "ioi", found)
    assert "v_mlp" not in readme_table(found, read_table(PUBLISHED), called, results.roles, verdicts)


def test_another_tasks_words(tmp_path):
    found = {finding.key: finding.words for finding in findings(made.results(tmp_path, task="agreement"))}
    assert found["v_true.interchange_accuracy"] == "interchange accuracy (the foil is the top token), v_true patched"
    assert found["dormant.clean_gap"] == "gap between values in the MLP's output along v_true, clean"


@pytest.fixture
def own(tmp_path):
    return made.results(tmp_path, made.with_own(), own={made.V_MLP: [made.PROBE]})


def own_verdicts():
    return made.judged(made.all_seen() | {made.PROBE_KEY.at(made.V_MLP): made.seen(fldd=0.08)})


def test_findings_and_metrics_of_ones_own_subspace(own):
    found = findings(own)
    by_key = {finding.key: finding for finding in found}
    key = f"own.{made.V_MLP}.{made.PROBE}"
    assert by_key[f"{key}.effect"].estimate == Estimate(0.6, pytest.approx(0.55), 0.65)
    assert by_key[f"{key}.row_share"].words == "effect of the row part / of my probe at mlp8"
    assert by_key[f"{key}.lent_share"].estimate == Estimate(0.45, 0.4, 0.5)
    nested = metrics({}, own, found, own_verdicts(), made.calibration())
    assert nested["own"] == {
        made.V_MLP: {
            made.PROBE: dict(fldd=0.15, whole_share=-1.67, row_share=0.5, lent_share=0.45, verdict="inconclusive")
        }
    }


def test_the_terminals_lines_of_ones_own_subspace(own):
    text = headline(own, findings(own), own_verdicts())
    assert (
        "mlp8, my probe: inconclusive (the effect, 0.08 of the clean LD, is too small to ask what it goes through)\n"
        "    effect 0.08 [0.06, 0.10] of the clean LD; whole component -0.25 [-0.27, -0.23] of the clean LD; "
        "the mediated share is not asked"
    ) in text


def test_a_share_that_was_not_asked_is_shown_nowhere():
    verdicts = own_verdicts()
    (line,) = (line for line in verdict_lines(verdicts) if line.name == "my probe")
    (row,) = (row for row in evidence_grid(verdicts).rows if row[1] == "my probe")
    assert line.share == "not asked"
    assert row[-2:] == ["not asked", ""]
    (row,) = (row for row in verdicts_block(verdict_table(verdicts)).splitlines() if "| my probe |" in row)
    assert "| not asked |  | inconclusive |" in row


def test_v_mlp_without_a_null_part_is_named(tmp_path):
    table = made.effects()
    results = made.results(tmp_path, {"effects.csv": table[table["subspace"] != NULL]})
    with pytest.raises(InputError, match=r"v_mlp is 'mlp8'.*no null part"):
        findings(results)


def test_the_table_of_findings_says_what_each_interval_is(found):
    table = findings_table(list(found.values())).set_index("key")
    assert table.loc["v_mlp.effect", ["value", "low", "high", "interval"]].tolist() == [3.0, 2.95, 3.05, BOOTSTRAP]
    assert table.loc["v_mlp.effect", ["each", "each_is"]].tolist() == ["2.9 3.1", "seeds"]
    assert np.isnan(table.loc["recovery.r2", "low"])
    assert table.loc["recovery.r2", ["interval", "each_is"]].tolist() == ["", "blocks"]
    assert table.index.is_unique


def test_metrics_are_few_and_in_the_order_in_which_one_reads_them(tmp_path):
    results = made.results(tmp_path)
    run = dict(model="tiny", task="ioi", size="quick")
    verdicts = made.verdicts()
    nested = metrics(run, results, findings(results), verdicts, made.calibration())
    flat = [f"{level}.{name}" for level, names in nested.items() for name in names]
    assert len(flat) == 25
    assert flat[:7] == [
        "run.model", "run.task", "run.size", "run.position", "pairs.kept", "pairs.left_out", "clean.logit_diff"
    ]  # fmt: skip
    assert nested["run"] == run | dict(position="END")
    assert nested["pairs"] == dict(kept=8, left_out=0)
    assert nested["v_true"] == dict(fldd=1.25, verdict="faithful", share=0.929516)
    assert nested["v_mlp"]["share"] == 0.04
    assert nested["calibration"] == dict(
        models=2, cases=672, told=672, median_error=0.05, coverage_90=1, below_02_called_faithful=0,
        above_08_called_illusory=0, inconclusive=0,
    )  # fmt: skip
    assert nested["mlp"]["fldd"] == -0.25
    assert nested["v_mlp"]["lent_share"] == 0.7
    assert nested["residual"]["fldd"] == 1.2


@pytest.mark.parametrize("missing", [None, np.nan])
def test_metrics_leave_out_what_there_are_no_cases_of(missing):
    pooled = dict(made.calibration().pooled) | dict(inconclusive=missing)
    found = metrics_of(replace(made.calibration(), pooled=pooled))
    assert "inconclusive" not in found
    assert found["cases"] == 672


def test_metrics_of_a_position_before_end_and_of_pairs_left_out(tmp_path):
    pairs = made.pairs()
    changed = {
        "prompts.parquet": made.prompts().assign(position=1),
        "activations/pairs.parquet": pairs.assign(kept=pairs["right"]),
    }
    results = made.results(tmp_path, changed)
    nested = metrics({}, results, findings(results), made.verdicts(), made.calibration())
    assert nested["run"] == dict(position="token of its own")
    assert nested["pairs"] == dict(kept=7, left_out=1)


def test_the_readmes_table_is_written_from_the_findings(found):
    published = pd.DataFrame(
        [("v_true.flip_rate", "post", "flips", 0.8, 0.8, "about", "share", "a note")],
        columns=["key", "source", "quantity", "low", "high", "about", "measure", "note"],
    )
    called = pd.DataFrame(
        dict(key=["v_true.flip_rate", "v_mlp.effect"], call=["in part", "does not"], claim=["flips", "harms"])
    )
    roles = dict(v_mlp=made.V_MLP)
    lines = readme_table(list(found.values()), published, called, roles, made.verdicts()).splitlines()
    assert lines[0] == "|  | here | interval or single values | post or paper, GPT-2 small | claim |"
    flips = (
        "| flip rate (LD < 0), v_true patched | 0.83 | 0.78 to 0.88; seeds: 0.73, 0.93 | about 0.8 (post) | in part |"
    )
    assert flips in lines
    assert lines[-3] == "Of 2 claims 0 reproduce, 1 in part, 1 fail: harms."
    assert lines[-1] == "- v_mlp is illusory, with a mediated share of 4 % [0, 9]."  # the prediction interval
    assert len(lines) == 2 + len(README_ROWS) + 4 == 12
    assert "(post)" not in readme_table(list(found.values()), published.iloc[:0], called, {}, {})


def test_the_markers_of_a_page():
    page = "# Title\n\n<!-- findings -->\n{}<!-- /findings -->\n\nmore"
    assert with_block(page.format("old"), "findings", "new\n") == page.format("new\n")
    with pytest.raises(InputError, match="no <!-- results --> with <!-- /results --> behind it"):
        with_block(page, "results", "new")


def test_the_findings_of_a_page_are_the_terminals(tmp_path):
    results = made.results(tmp_path)
    block = findings_block(headline(results, findings(results), made.verdicts())).splitlines()
    assert block[0] == block[-1] == "```"
    assert block[1].startswith("LD, nothing patched ")
    assert len(block) == 2 + len(HEADLINE_ROWS)


def test_every_row_that_is_shown_and_every_published_figure_is_a_finding(found):
    """No key is misspelt: what the made results cannot have is named here."""
    absent = {"table1.gradient", "table1.mean", "signs.z0_0001", "signs.z0_001"}
    keys = {*HEADLINE_ROWS, *README_ROWS, *read_table(PUBLISHED)["key"]}
    assert {key for key in keys - set(found) if not any(key.startswith(name) for name in absent)} == set()


def test_the_terminals_lines(tmp_path):
    results = made.results(tmp_path)
    text = headline(results, findings(results), made.verdicts())
    assert text.startswith(
        "tiny, ioi: which subspaces carry the place of the repeated name? Patched at END; 8 pairs, "
        "effects on 4 held-out ones in 2 groups.\n\nLD, nothing"
    )
    assert f"Intervals: {BOOTSTRAP}." in text
    assert (
        "mlp8, trained: illusory (of the effect, 0.75 of the clean LD, an estimated 4 % [0, 9] goes through what "
        "blocks.8.mlp.hook_post itself hands on)\n    effect 0.75"
    ) in text
    assert all(line == line.rstrip() for line in text.splitlines())


def test_decompositions_of_all_components(tmp_path):
    table = decomposition(made.results(tmp_path))
    assert table["component"].tolist() == [made.V_TRUE] * 2 + [made.V_MLP] * 2
    assert table["lent_share"].isna().tolist() == [True, True, False, False]


ROOT = Path(__file__).parents[2]


def test_judging_draws_nothing():
    """Neither ``judge`` nor the parameters, which name the criteria, need a drawing library."""
    seen, left = set(), {ROOT / "stages/judge.py", ROOT / "src/subspace_illusion/pipeline/params.py"}
    while left:
        path = left.pop()
        seen.add(path)
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                assert not node.module.startswith("matplotlib"), path
                of = ROOT / f"src/{node.module.replace('.', '/')}.py"
                left |= {of} - seen if of.exists() else set()
    assert ROOT / "src/subspace_illusion/report/findings/every.py" in seen
