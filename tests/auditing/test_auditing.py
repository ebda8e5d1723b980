"""The audit from Python: what it finds, saves and reads again, and the example that shows it from start to end."""

import html
import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

import tiny
from some_pairs import prompts_and_pairs, some_pairs
from subspace_illusion import Audit, audit
from subspace_illusion.auditing import call, component, document, result
from subspace_illusion.auditing.findings import PLANTED, REPAIR, TABLES, joined
from subspace_illusion.auditing.given_model import GivenModel
from subspace_illusion.auditing.progress import Progress
from subspace_illusion.auditing.proof import Proof, prove
from subspace_illusion.auditing.settings import TOLERANCE, Das
from subspace_illusion.core.sites import Site
from subspace_illusion.errors import InputError
from subspace_illusion.files import read_table
from subspace_illusion.pipeline.compose import compose
from subspace_illusion.statistics import Bootstrap
from subspace_illusion.subspace.keys import ABLATION, STEERING, SubspaceKey
from subspace_illusion.tasks.table import DIFFERENT
from subspace_illusion.verdict.estimate import STREAM
from subspace_illusion.verdict.intervals import ELSEWHERE, WIDENED
from subspace_illusion.verdict.judge import judge
from subspace_illusion.verdict.rule import LIMITS, SMALLEST_EFFECT, Limits
from subspace_illusion.verdict.shipped import SHIPPED
from written_pages import long_paragraphs, numbers_without_a_table

HOOK = "blocks.1.mlp.hook_post"
RESIDUAL = "blocks.1.hook_resid_post"
FAST = dict(filter_incorrect=False, resamples=200, train=False, controls=False, calibrate=False)
WHOLE = FAST | dict(train=True, controls=True, calibrate=True, das=Das(steps=3, batch=8))
MINE = SubspaceKey.user("mine", HOOK)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("model")
    tiny.write_folder(path)
    return path


@pytest.fixture(scope="module")
def whole(folder):
    """An audit of a model in a folder, with training and controls."""
    return audit(folder, tiny.EXAMPLE, HOOK, {"mine": direction()}, **WHOLE)


def direction(seed: int = 0, width: int = 64) -> torch.Tensor:
    return torch.randn(width, generator=torch.Generator().manual_seed(seed))


def test_it_does_all_that_is_asked(whole):
    judged = {(key.method, key.is_user) for key in whole.verdicts}
    assert judged == {("mine", True), ("trained", False), ("mean difference", False)}
    effects = whole.effects[whole.effects["seed"] == "pooled"].set_index("subspace")
    assert abs(effects.loc["null part of user: mine", "effect"]) < 1e-4
    assert {"trained", "random", "whole component", "span of both"} <= set(effects.index)
    assert {"norm-matched placebo", "DAS on arbitrary labels", "patch from itself"} <= set(whole.controls["control"])
    assert set(whole.tables["off_distribution"]["place"]) == {"component", "output", "next block's input"}
    assert set(whole.tables) == {*TABLES} - {"readers", REPAIR}  # heads read residual vectors alone; none is illusory
    assert {"trained", "yours: mine", "mean difference"} < set(whole.planted["found"])
    assert whole.repair is None
    assert str(whole).startswith(f"{HOOK}, trained: ")
    assert f"\n{HOOK}, mine: " in str(whole)
    assert whole._repr_html_().count("<table") == 2


def test_it_proves_itself_first(whole):
    assert whole.proof.replay < 1e-4
    assert whole.proof.self_patch < 1e-4
    assert whole.proof.null_part < 1e-4
    for off in ("replay", "self_patch", "null_part"):
        with pytest.raises(InputError, match=r"^here: .* by 1, where .* is allowed; .* the audit stops$"):
            replace(whole.proof, **{off: 1.0}).check("here")
    with pytest.raises(InputError, match="by nan"):
        replace(whole.proof, replay=float("nan")).check("here")
    assert Proof.worst([whole.proof, replace(whole.proof, replay=1.0, null_part=None)]).replay == 1.0


def test_a_run_whose_replay_is_off_says_nothing(llama, monkeypatch):
    exact = component.prove
    monkeypatch.setattr(component, "prove", lambda *given: replace(exact(*given), replay=0.5))
    with pytest.raises(InputError, match="a replay differs from the full forward pass by 0.5"):
        audit(llama, tiny.EXAMPLE, HOOK, {"mine": direction()}, **FAST)


def test_a_run_that_read_another_prompt_or_whose_readout_is_another_says_nothing(llama, monkeypatch):
    recorded = call.recorded_pairs

    class OfTheNext:
        def __init__(self, pairs):
            prompts, numbers = pairs.prompts, sorted({*pairs.base_prompts, *pairs.source_prompts})
            self.tail, self.tail_lengths, self._at = prompts.tail, prompts.tail_lengths, prompts.at
            self.next = dict(zip(numbers, numbers[1:] + numbers[:1], strict=True))

        def at(self, site, prompts):
            return self._at(site, [self.next[prompt] for prompt in prompts])

    def shifted(*given):
        pairs = recorded(*given)
        return replace(pairs, prompts=OfTheNext(pairs))

    with monkeypatch.context() as patch:
        patch.setattr(call, "recorded_pairs", shifted)
        with pytest.raises(InputError, match="from the full forward pass|from itself changes"):
            audit(llama, tiny.EXAMPLE, "blocks.1.attn.hook_z.1", {"mine": direction(width=8)}, **FAST)
    another = replace(llama, _readouts={Site.parse(HOOK): llama.readout(Site.parse(HOOK)).roll(1, 0)})
    with pytest.raises(InputError, match="patching what the readout maps to zero changes"):
        audit(another, tiny.EXAMPLE, HOOK, {"mine": direction()}, **FAST)


@pytest.mark.parametrize(
    "point", ["hook_resid_pre", "hook_resid_mid", "hook_resid_post", "attn.hook_z", "attn.hook_z.1", "hook_attn_out",
              "hook_mlp_out", "mlp.hook_post"],
)  # fmt: skip
def test_every_place_and_architecture_proves_itself(model, point):
    if model.parallel_blocks and point == "hook_resid_mid":
        pytest.skip("there is no such place in a parallel block")
    site = Site.parse(f"blocks.1.{point}")
    pairs = some_pairs(model, [site], site.start, kinds=[DIFFERENT])
    tokens = prompts_and_pairs()[0]["tokens"][pairs.base_prompts].tolist()
    found = prove(pairs, site, tokens, 8, TOLERANCE, Bootstrap.of(pairs.groups, 100, 0))
    assert max(found.replay, found.self_patch, found.null_part or 0) < 2e-4


def test_what_is_saved_is_read_again(whole, tmp_path):
    whole.save(tmp_path / "out")
    again = Audit.load(tmp_path / "out")
    assert str(again) == str(whole)
    assert again.document.model_dump(mode="json") == whole.document.model_dump(mode="json")
    for name, table in whole.tables.items():
        pd.testing.assert_frame_equal(again.tables[name], table, check_dtype=False)
    assert again.bases.keys() == whole.bases.keys()
    again.save(tmp_path / "copy")
    names = sorted(file.name for file in (tmp_path / "out").iterdir())
    assert {"verdict.json", "report.html", "pairs.parquet", "subspaces.safetensors", "effects.parquet"} <= set(names)
    for name in names:
        if name != "report.html":
            assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "copy" / name).read_bytes(), name


def test_a_folder_that_is_there_is_left_alone_and_a_failure_leaves_none(whole, tmp_path, monkeypatch):
    whole.save(tmp_path / "out")
    with pytest.raises(InputError, match="is there already: name another folder, or add --force"):
        whole.save(tmp_path / "out")
    whole.save(tmp_path / "out", force=True)
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters/love.txt").write_text("dear")
    with pytest.raises(InputError, match="holds something else"):
        whole.save(tmp_path / "letters", force=True)
    assert (tmp_path / "letters/love.txt").read_text() == "dear"
    monkeypatch.setattr(Audit, "report", lambda *given: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        whole.save(tmp_path / "half")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["letters", "out"]
    with pytest.raises(InputError, match="holds no audit"):
        Audit.load(tmp_path / "letters")
    (tmp_path / "out/verdict.json").write_text('{"format": "subspace-illusion/verdict/1"}')
    with pytest.raises(InputError, match="is not of the form subspace-illusion/verdict/4"):
        Audit.load(tmp_path / "out")


@pytest.mark.parametrize("name", ["pairs.parquet", "effects.parquet", "seen.parquet", "subspaces.safetensors"])
def test_a_folder_that_lacks_a_file_is_named(whole, tmp_path, name):
    whole.save(tmp_path / "out")
    (tmp_path / "out" / name).unlink()
    with pytest.raises(InputError, match=f"out holds no whole audit: it has no {name}$"):
        Audit.load(tmp_path / "out")


def test_a_document_without_hooks_and_a_broken_table_are_named(whole, tmp_path):
    whole.save(tmp_path / "out")
    document = json.loads((tmp_path / "out/verdict.json").read_text())
    del document["settings"]["hooks"]
    (tmp_path / "out/verdict.json").write_text(json.dumps(document))
    with pytest.raises(InputError, match=r"verdict.json is not of the form"):
        Audit.load(tmp_path / "out")
    whole.save(tmp_path / "out", force=True)
    (tmp_path / "out/effects.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(InputError, match=r"effects.parquet cannot be read (?!.*dvc)"):
        Audit.load(tmp_path / "out")


def test_a_folder_that_holds_more_than_an_audit_is_left_alone(whole, tmp_path):
    whole.save(tmp_path / "out")
    whole.save(tmp_path / "out/nested")
    with pytest.raises(InputError, match=r"holds something else \(nested\)"):
        whole.save(tmp_path / "out", force=True)


def test_what_is_wrong_is_said_before_weights_are_hashed(folder, monkeypatch):
    monkeypatch.setattr(GivenModel, "digest", lambda self: pytest.fail("hashed"))
    with pytest.raises(InputError, match="the model has blocks 0 to 3"):
        audit(folder, tiny.EXAMPLE, "blocks.9.mlp.hook_post", **WHOLE)


def test_a_run_that_failed_is_not_done(capsys):
    with Progress(1, True) as bar, bar.phase("one", 1):
        pass
    assert "done" in capsys.readouterr().err
    with pytest.raises(ZeroDivisionError), Progress(1, True) as bar, bar.phase("one", 1):
        raise ZeroDivisionError
    assert "done" not in capsys.readouterr().err


def test_what_was_not_known_of_is_added_to_the_bar(capsys):
    with Progress(1, True) as bar:
        with bar.phase("one", 1):
            pass
        bar.more(3)
        with bar.phase("more", 3):
            pass
    said = capsys.readouterr().err
    assert " 25% " in said
    assert said.rstrip().splitlines()[-1].split("\r")[-1].startswith("100%")


def test_the_schema_is_that_of_the_document(whole):
    written = json.loads(Path(document.__file__).with_name("schema.json").read_text())
    assert written == document.Document.model_json_schema()
    found = whole.document.model_dump(mode="json")
    assert found["model"]["sha256"]
    assert found["pairs"]["test"] == len(whole.tables["outcomes"])
    assert {one["subspace"]: one["yours"] for one in found["verdicts"]}["mine"] is True


def test_the_document_says_what_verdicts_rest_on(whole):
    found = whole.document
    assert found.zones.model_dump() == dict(illusory_up_to=0.5, faithful_from=0.5)
    assert found.calibration.models == ["tiny", "other"]
    assert len(found.verdicts) == len(whole.verdicts) == 3
    for told, (key, verdict) in zip(found.verdicts, whole.verdicts.items(), strict=True):
        seen = whole.seen[key]
        figures = dict(effect=seen.fldd, whole_component=seen.whole, own_difference_share=seen.own, match=seen.match)
        for name, draws in figures.items():
            assert getattr(told, name).value == draws[0]
        share, predicted = told.mediated_share, verdict.predicted
        assert (share.value, share.low, share.high) == (seen.share[0], predicted.low, predicted.high)
        assert told.model_dump(mode="json")["interval"] == {
            "from": ELSEWHERE,
            "cases": predicted.cases,
            "level": predicted.level,
        }
        patched = whole.effects.query("seed == 'pooled'").set_index("subspace")["fldd"]
        for part, figure in ((ABLATION, told.mean_ablation), (STEERING, told.steering)):
            assert (figure is not None) == key.is_asked
            assert figure is None or figure.value == patched[key.of_part(part).subspace]


def test_where_nothing_like_it_was_planted_no_share_is_told(llama):
    asked = FAST | dict(calibrate=True)
    found = audit(llama, tiny.EXAMPLE, "blocks.1.attn.hook_q", {"mine": direction(width=32)}, **asked)
    assert found.planted is None
    for told in found.document.verdicts:
        assert told.verdict == "inconclusive"
        assert told.mediated_share is None
        assert told.interval is None
        assert told.own_difference_share is not None


@pytest.mark.parametrize(("cases", "source"), [(10, WIDENED), (9, ELSEWHERE)])
def test_cases_planted_in_the_component_widen_the_interval_if_there_are_enough(whole, tmp_path, cases, source):
    estimate = float(whole.seen[MINE].share[0])
    counted = dict(counts=True, estimate=estimate, truth=np.arange(cases) % 2)
    found = replace(whole, tables=whole.tables | {PLANTED: whole.planted.iloc[:cases].assign(**counted)})
    predicted = found.verdicts[MINE].predicted
    assert predicted.source == source
    if source == WIDENED:
        elsewhere = whole.verdicts[MINE].predicted
        assert (predicted.low, predicted.high) == (0, 1)
        assert (predicted.cases, predicted.level) == (elsewhere.cases, elsewhere.level)
        assert found.verdicts[MINE].verdict == "inconclusive"
        found.save(tmp_path / "out")
        again = Audit.load(tmp_path / "out")
        assert again.verdicts[MINE].predicted == predicted
        assert again.document.verdicts[1].interval.source == WIDENED


def test_cases_of_the_models_own_block_do_not_count(whole, monkeypatch):
    digest = whole.about["model"]["sha256"]
    asked = []
    monkeypatch.setattr(result, "judge", lambda *given: asked.append(given) or judge(*given))
    for digests, name in (({"tiny": digest}, "tiny"), ({"tiny": "0" * 64}, None)):
        calibration = replace(whole.calibration, digests=digests)
        monkeypatch.setattr(result, "read_calibration", lambda found=calibration: found)
        found = replace(whole)
        assert found.verdicts.keys() == whole.verdicts.keys()
        assert asked[-1][2] == name


def test_nothing_is_planted_in_a_map_nor_where_it_takes_long(llama, monkeypatch, capsys):
    asked = FAST | dict(calibrate=True, resamples=100)
    every = audit(llama, tiny.EXAMPLE, [HOOK, "blocks.2.mlp.hook_post"], {"mine": direction()}, progress=True, **asked)
    assert every.planted is None
    assert "planted" not in capsys.readouterr().out
    monkeypatch.setattr(call, "LONGEST_PLANTING", 0)
    long = audit(llama, tiny.EXAMPLE, HOOK, {"mine": direction()}, progress=True, **asked)
    assert long.planted is None
    said = capsys.readouterr().out.splitlines()[0]
    assert re.search(r", some \d+ s; no cases are planted there, which would take some \d+ s more$", said)
    assert long.document.settings["calibrate"] is True
    assert re.search(r"in the component itself: that would take some \d+ s$", long.document.planting)
    assert every.document.planting.startswith("no cases were planted in the components themselves")


@pytest.fixture
def all_illusory(monkeypatch):
    def judge_so(*given):
        return {key: replace(verdict, verdict="illusory") for key, verdict in judge(*given).items()}

    monkeypatch.setattr(result, "judge", judge_so)


@pytest.mark.usefixtures("all_illusory")
@pytest.mark.parametrize(("hook", "width"), [(HOOK, 64), (RESIDUAL, 32)])
def test_an_illusory_subspace_is_trained_again_within_what_acts(llama, tmp_path, hook, width):
    asked = WHOLE | dict(calibrate=False, controls=False)
    found = audit(llama, tiny.EXAMPLE, hook, {"mine": direction(width=width)}, **asked)
    assert found.repair["subspace"].tolist() == ["trained", "user: mine"]  # not the mean difference
    assert set(found.repair["component"]) == {hook}
    measured = ["fldd", "fldd_lo", "fldd_hi", "share", "share_lo", "share_hi"]
    assert found.repair[measured].notna().all(axis=None)
    assert (found.repair[measured].nunique() == 1).all()  # one repair for both
    assert set(found.repair["verdict"]) == {"illusory"}
    assert found.repair["share"].between(found.repair["share_lo"], found.repair["share_hi"]).all()
    found.save(tmp_path / "out")
    pd.testing.assert_frame_equal(Audit.load(tmp_path / "out").repair, found.repair)


@pytest.mark.usefixtures("all_illusory")
@pytest.mark.parametrize(("hook", "more"), [(HOOK, dict(train=False)), ("blocks.1.hook_mlp_out", {})])
def test_nothing_is_repaired_where_nothing_is_trained_or_everything_acts(llama, hook, more):
    width = llama.width(Site.parse(hook))
    asked = WHOLE | dict(calibrate=False, controls=False) | more
    assert audit(llama, tiny.EXAMPLE, hook, {"mine": direction(width=width)}, **asked).repair is None


def test_the_pairs_say_what_was_read(whole):
    first = whole.pairs.iloc[0]
    raw = pd.read_csv(tiny.EXAMPLE).iloc[0]
    assert first["base_text"] == raw["base"]
    assert first["base_token"] == raw["position"]
    assert first["source_token"] == raw["source_position"]


def test_a_page_is_one_file_or_markdown_with_its_pictures_beside_it(whole, tmp_path):
    whole.report(tmp_path / "audit.html")
    page = (tmp_path / "audit.html").read_text()
    assert page.count("<img") == page.count('src="data:image/png;base64,') == 2
    for words in ("mine", "Controls", "Off the natural distribution", "replayed patches against", "What it cannot see"):
        assert words in page
    assert "user: " not in page
    row = r'<tr class="(\w+)"><td>(.+)<small>(.+)</small></td><td><b>(\w+)</b></td><td class="share">([\d.]+|not asked)'
    said = [tuple(map(html.unescape, cells)) for cells in re.findall(row, page)]
    assert said == [
        (each.verdict, each.subspace, each.hook, each.verdict, "not asked")  # for no effect is large enough
        for each in whole.document.verdicts
    ]
    assert long_paragraphs(page) == []
    assert numbers_without_a_table(page) == []
    whole.report(tmp_path / "audit.md")
    assert (tmp_path / "audit_figures/verdict.png").is_file()
    with pytest.raises(InputError, match=r"ends in .html or .md"):
        whole.report(tmp_path / "audit.pdf")


def test_of_few_groups_nothing_is_called(llama):
    pairs = pd.read_csv(tiny.EXAMPLE)
    few = pairs[pairs["base"].isin(pairs["base"].unique()[:4])]
    found = audit(llama, few, HOOK, {"mine": direction()}, **FAST)
    assert found.document.pairs.test_groups < 5
    assert {verdict.reason for verdict in found.verdicts.values()} == {"too few groups"}
    assert "too few for an interval" in str(found)


def test_pairs_that_go_one_way_are_judged_too(llama):
    pairs = pd.read_csv(tiny.EXAMPLE)
    one_way = pairs[pairs["base_answer"] == pairs["base_answer"].iloc[0]]
    found = audit(llama, one_way, HOOK, {"mine": direction()}, **FAST)
    assert np.isfinite(found.seen[MINE].share).all()
    assert found.document.verdicts[0].steering is not None


@pytest.mark.parametrize("point", ["mlp.hook_pre", "attn.hook_q", "attn.hook_k", "hook_resid_mid", "attn.hook_z"])
def test_what_enters_the_next_block_is_told_only_where_the_patch_alone_changes_it(llama, point):
    width = llama.width(Site.parse(f"blocks.1.{point}"))
    found = audit(llama, tiny.EXAMPLE, f"blocks.1.{point}", {"mine": direction(width=width)}, **FAST)
    assert "next block's input" not in set(found.tables["off_distribution"]["place"])


def test_a_map_goes_past_a_component_at_which_nothing_differs(llama):
    last = pd.read_csv(tiny.EXAMPLE).drop(columns=["position", "source_position"])
    found = audit(llama, last, "blocks.*.hook_resid_pre", {"mine": direction(width=32)}, **FAST)
    assert found.document.left_out == ["blocks.0.hook_resid_pre"]
    assert [site.block for site in found.sites] == [1, 2, 3]
    with pytest.raises(InputError, match="the same activation there in every pair"):
        audit(llama, last, "blocks.0.hook_resid_pre", {"mine": direction(width=32)}, **FAST)


def test_several_right_answers_are_summed_in_all_that_is_asked(llama, tmp_path):
    table = read_table(tiny.EXAMPLE)
    table = table.assign(value=table["base_answer"], source_value=table["source_answer"])
    several = [row | dict(base_answer=[row["base_answer"], "it"]) for row in table.to_dict("records")]
    mine = {"mine": direction(width=32)}
    found = audit(llama, several, RESIDUAL, mine, **WHOLE)
    plain = audit(llama, table, RESIDUAL, mine, **FAST)
    pairs = found.pairs
    assert {len(ids) for name in ("answer_id", "foil_id", "target_id") for ids in pairs[name]} == {2}
    assert (pairs["ld"] > plain.pairs["ld"]).all()
    found.save(tmp_path / "audit")
    assert Audit.load(tmp_path / "audit").pairs["answer_id"].map(list).tolist() == pairs["answer_id"].tolist()
    read = found.document.reading
    assert isinstance(read.first_row.answer, list)
    assert any("several right answers (2 at most)" in note for note in read.notes)
    assert "linear part" in found.document.remarks[RESIDUAL]


def test_columns_of_mixed_types_are_carried_as_text(llama, tmp_path):
    rows = pd.read_csv(tiny.EXAMPLE).to_dict("records")
    rows[0]["note"], rows[1]["note"] = 1, "x"
    audit(llama, rows, HOOK, {"mine": direction()}, **FAST).save(tmp_path / "out")
    with pytest.raises(InputError, match="the column 'ld' has the name of one that is made here"):
        audit(llama, [row | dict(ld=1) for row in rows], HOOK, {"mine": direction()}, **FAST)


def test_what_is_given_may_be_a_file_or_in_memory_and_gives_the_same(folder, llama, tmp_path):
    np.save(tmp_path / "w.npy", direction().numpy()[None])
    pairs = pd.read_csv(tiny.EXAMPLE)
    by_file = audit(folder, tiny.EXAMPLE, HOOK, {"mine": tmp_path / "w.npy"}, **FAST)
    assert "normalised" in by_file.about["notes"]["mine"]
    in_memory = audit(llama, pairs.to_dict("records"), HOOK, {"mine": 3 * direction().numpy()}, **FAST)
    of_bridge = audit(llama.bridge, pairs, HOOK, {"mine": direction()}, **FAST)
    columns = audit(llama, pairs.to_dict("list"), HOOK, {"mine": f"{tmp_path}/w.npy#:0"}, **FAST)
    measured = ["subspace", "ld_clean", "ld_patched", "effect", "effect_lo", "effect_hi"]
    for other in (in_memory, of_bridge, columns):
        pd.testing.assert_frame_equal(by_file.effects[measured], other.effects[measured], atol=1e-4, rtol=1e-4)


def test_in_the_residual_stream_the_estimate_is_of_both_and_its_readers_are_shown(llama):
    found = audit(llama, tiny.EXAMPLE, RESIDUAL, {"mine": direction(width=32)}, **FAST)
    key = SubspaceKey.user("mine", RESIDUAL)
    seen = found.seen[key]
    assert seen.kind == STREAM
    np.testing.assert_allclose(seen.share, np.sqrt(seen.own * seen.match))
    assert set(found.tables["readers"]["head"].str.partition(".")[0]) == {"2", "3"}
    assert found.proof.null_part is None


def test_several_hooks_share_one_run_of_the_prompts_and_give_a_map(llama, monkeypatch, tmp_path):
    runs = []
    recorded = call.recorded_pairs
    monkeypatch.setattr(call, "recorded_pairs", lambda *given: runs.append(1) or recorded(*given))
    every = audit(llama, tiny.EXAMPLE, "blocks.*.mlp.hook_post", {"mine": direction()}, **FAST)
    assert len(runs) == 1
    mine = every.by_block.query("subspace == 'user: mine'")
    assert mine["block"].tolist() == [0, 1, 2, 3]
    assert set(mine["verdict"]) <= {"faithful", "illusory", "inconclusive"}
    alone = audit(llama, tiny.EXAMPLE, HOOK, {"mine": direction()}, **FAST)
    both = [found.effects.query("component == @HOOK and subspace == 'user: mine'") for found in (every, alone)]
    np.testing.assert_allclose(both[0]["effect"], both[1]["effect"], atol=1e-4)
    every.save(tmp_path / "map")
    assert (tmp_path / "map/report.html").read_text().count("<img") == 3
    other = audit(llama, tiny.EXAMPLE, RESIDUAL, **WHOLE | dict(calibrate=False))
    both = replace(alone, **vars(joined([alone, other])))
    assert [site.name for site in both.sites] == [HOOK, RESIDUAL]
    assert MINE in both.verdicts
    assert both.document.settings["hooks"] == [HOOK, RESIDUAL]
    both.save(tmp_path / "both")
    assert "mlp.hook_post" in (tmp_path / "both/report.html").read_text()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (dict(hook="blocks.9.mlp.hook_post"), "the model has blocks 0 to 3"),
        (dict(hook="blocks.*.mlp.*"), "stands for all blocks"),
        (dict(hook="blocks.1.attn.hook_z.*"), "'blocks.1.attn.hook_z.\\*': \\* stands for all blocks"),
        (dict(hook="blocks.1*.mlp.hook_post"), "stands for all blocks"),
        (dict(hook="model.layers.*.mlp"), r"in blocks\.\*\. alone; here it is blocks\.\*\.hook_mlp_out"),
        (dict(hook="blocks.1.mlp"), "what other libraries call so is blocks.1.hook_mlp_out; block 1 has"),
        (dict(hook=3), "3 names no hook"),
        (dict(subspaces=torch.ones(64)), "subspaces are a Tensor: give them by label"),
        (dict(subspaces=["w.npy"]), "subspaces are a list"),
        (dict(subspaces={"mine": None}), "mine is a NoneType: give a tensor"),
        (dict(subspaces={3: torch.ones(64)}), "'3' is no label"),
        (dict(das=dict(loss="hinge")), "das.loss is 'hinge'"),
        (dict(seeds=0), "seeds is 0"),
        (dict(seeds=(-1,)), "seeds.0 is -1"),
        (dict(resamples=200.5), "resamples is 200.5"),
        (dict(das=Das), "das is"),
        (dict(hook=[HOOK, HOOK]), "is asked for twice"),
        (dict(hook=[]), "there is no hook"),
        (dict(hook=[HOOK, RESIDUAL]), "vectors of different length"),
        (dict(hook=f"{HOOK}@end"), "leave @end away"),
        (dict(subspaces={"mine": torch.zeros(64)}), "mine is zero"),
        (dict(subspaces={"mine": torch.ones(63)}), "mine"),
        (dict(subspaces={"row part": torch.ones(64)}), "'row part' is no label"),
        (dict(subspaces={"a:b": torch.ones(64)}), "'a:b' is no label"),
        (dict(subspaces={}), "no subspace to audit"),
        (dict(pairs="nowhere.csv"), "nowhere.csv"),
        (dict(pairs=[dict(base="a", source="b")]), "base_answer"),
        (dict(pairs=dict(base="a", source="b")), "a dict is no table of pairs"),
        (dict(pairs=3), "a int is no table of pairs"),
        (dict(model=3), "a int is no model to audit"),
        (dict(model="nowhere"), "nowhere is neither a folder nor a model that the hub"),
        (dict(keep_wrong=True), "there is no setting 'keep_wrong'; there are .*position, source_position, join"),
        (dict(rank=0), "rank is 0"),
        (dict(calibrate="perhaps"), "calibrate is 'perhaps'"),
        (dict(resamples=9), "resamples is 9"),
        (dict(test_share=1.5), "test_share is 1.5"),
        (dict(seeds=(1, 1)), "each once"),
    ],
)
def test_what_is_wrong_is_one_clear_line(llama, given, message):
    asked = dict(model=llama, pairs=tiny.EXAMPLE, hook=HOOK, subspaces={"mine": direction()}) | FAST | given
    with pytest.raises(InputError, match=message) as error:
        audit(**asked)
    assert "\n" not in str(error.value)


def test_the_examples_probe_is_trained_and_saved(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(tiny.EXAMPLE.parent))
    import train_probe

    out = tmp_path / "probe.npy"
    train_probe.main(str(folder), HOOK, str(out))
    assert "held-out prompts right" in capsys.readouterr().out
    found = audit(folder, tiny.EXAMPLE, HOOK, {"probe": out}, progress=True, **FAST | dict(controls=True))
    assert SubspaceKey.user("probe", HOOK) in found.verdicts
    said = capsys.readouterr()
    assert said.out.startswith(f"auditing probe, the mean difference at {HOOK}, with controls: ")
    assert "done" in said.err
    sys.modules.pop("train_probe")


def test_the_rule_is_that_of_the_parameters(monkeypatch):
    monkeypatch.chdir(tiny.DATA.parent)
    rules = compose()["verdict"]
    assert rules["smallest_effect"] == SMALLEST_EFFECT
    assert Limits(rules["illusory_up_to"], rules["faithful_from"]) == LIMITS
    assert Path(rules["calibration"]).resolve() == SHIPPED.resolve()
