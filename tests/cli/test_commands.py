"""The commands that run in one process: from files in one folder to what they write in another."""

import html
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import tiny
from subspace_illusion import Audit
from subspace_illusion.cli.arguments import free_place
from subspace_illusion.cli.main import main
from subspace_illusion.errors import InputError
from subspace_illusion.pipeline import units as units_module
from subspace_illusion.pipeline.units import compute
from subspace_illusion.tasks.table import mark_kept

HOOK = "blocks.1.mlp.hook_post"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An empty folder but for a model, the example's pairs and a direction."""
    folder = tmp_path_factory.mktemp("somewhere else")
    tiny.write_folder(folder / "model")
    shutil.copy(tiny.EXAMPLE, folder / "pairs (1).csv")
    np.save(folder / "w.npy", np.random.default_rng(0).standard_normal((1, 64)))
    return folder


@pytest.fixture
def command(folder, monkeypatch, capsys):
    """Runs a command in the folder and gives what it says."""
    monkeypatch.chdir(folder)

    def run(*words: str, fails: bool = False) -> str:
        monkeypatch.setattr(sys, "argv", ["subspace-illusion", *words])
        if not fails:
            main()
            return capsys.readouterr().out
        with pytest.raises(SystemExit) as ended:
            main()
        return f"{ended.value} {capsys.readouterr().err}"

    return run


GIVEN = ("--model", "model", "--pairs", "pairs (1).csv", "--keep-incorrect")
UNTRAINED = (*GIVEN, "--hook", HOOK, "--direction", "mine=w.npy", "--no-train", "--no-calibrate")
ASKED = (*UNTRAINED, "--no-controls")


def test_an_audit_writes_one_folder_and_nothing_else(command, folder):
    before = {path.name for path in folder.iterdir()}
    said = command("audit", *GIVEN, "--hook", HOOK, "--direction", "mine=w.npy", "--steps", "3", "--out", "out/first")
    assert said.startswith(f"auditing mine, what DAS finds, the mean difference at {HOOK}, with controls: ")
    assert f"\n{HOOK}, mine: " in said
    assert {path.name for path in folder.iterdir()} == before | {"out"}
    assert [path.name for path in (folder / "out").iterdir()] == ["first"]
    verdict = json.loads((folder / "out/first/verdict.json").read_text())
    assert [one["subspace"] for one in verdict["verdicts"] if one["yours"]] == ["mine"]
    assert verdict["pairs"]["source"]["file"] == "pairs (1).csv"
    told = "mine: taken for a direction, [1, 64]; transposed: it was [1, 64]; normalised: its norm was "
    assert said.splitlines()[1].startswith("the first row is read as ")
    assert "the foil is the answer that the source of the pair calls for" in said.splitlines()[2]
    assert said.splitlines()[3].startswith(told)
    assert f"mine: {verdict['notes']['mine']}" == said.splitlines()[3]
    assert verdict["notes"]["mine"] in (folder / "out/first/report.html").read_text()
    for tool, name in (("pyvene", f"intkey_{HOOK}.trained.0.bin"), ("saelens", f"{HOOK}.trained.0")):
        assert f"for {tool}" in command("export", "out/first", "--as", tool, "--out", f"out/{tool}")
        assert [path.name for path in (folder / "out" / tool).iterdir()] == [name]
        shutil.rmtree(folder / "out" / tool)
    assert "is no tool that is written for; take one of transformer_lens, pyvene, saelens, gguf" in command(
        "export", "out/first", "--as", "llama", "--out", "out/llama", fails=True
    )
    assert "model is there already" in command("export", "out/first", "--as", "pyvene", "--out", "model", fails=True)
    refused = command("audit", *ASKED, "--out", "out/first", fails=True)
    assert "out/first is there already: name another folder, or add --force" in refused
    assert said.splitlines()[0].endswith(" s, cases planted there among it")
    assert Audit.load(folder / "out/first").planted is not None
    said = command("audit", *UNTRAINED, "--out", "out/first", "--force")
    assert "planted there" not in said.splitlines()[0]
    again = Audit.load(folder / "out/first")
    assert "DAS on arbitrary labels" not in set(again.controls["control"])
    assert "has trained nothing" in command("export", "out/first", "--as", "pyvene", "--out", "out/none", fails=True)
    assert again.planted is None
    assert not (folder / "out/first/planted.parquet").exists()


def test_two_audits_of_the_same_pairs_in_two_forms_are_compared(command, folder):
    theirs = dict(base="clean_prefix", source="patch_prefix", base_answer="clean_answer", source_answer="patch")
    pd.read_csv(folder / "pairs (1).csv").rename(columns=theirs).to_csv(folder / "theirs.csv", sep=";", index=False)
    command("audit", *ASKED, "--out", "compared/a")
    asked = [word.replace("pairs (1).csv", "theirs.csv") for word in ASKED]
    named = ("--columns", "source_answer=patch", "--direction", "other=w.npy")
    said = command("audit", *asked, *named, "--out", "compared/b")
    taken = said.splitlines()[0]
    assert taken.startswith("theirs.csv is read as a table of feature-circuits: base is its 'clean_prefix', ")
    verdict = json.loads((folder / "compared/b/verdict.json").read_text())
    assert verdict["pairs"]["source"]["read"] == [taken]
    assert verdict["settings"]["columns"] == dict(source_answer="patch")
    assert taken in html.unescape((folder / "compared/b/report.html").read_text())
    said = command("compare", "compared/a", "compared/b", "--out", "compared/differ")
    table = pd.read_csv(folder / "compared/differ/differences.csv").set_index("what")
    assert abs(table.loc[f"{HOOK}:mine", "difference"]) < 1e-6
    assert (folder / "compared/differ/differences.png").is_file()
    assert "b - a on the same pairs" in said
    one = command("compare", f"compared/a#{HOOK}:mine", f"compared/b#{HOOK}:other")
    assert f"{HOOK}:mine and {HOOK}:other" in one
    assert "there is no" in command("compare", f"compared/a#{HOOK}:nobody", "compared/b", fails=True)
    assert "holds no audit" in command("compare", "model", "compared/b", fails=True)


def test_statements_become_pairs(command, folder):
    rows = [dict(claim=f"{x} is {y}.", label=int(x == y), x=x) for x in ("red", "blue") for y in ("red", "blue")]
    pd.DataFrame(rows).to_csv(folder / "claims.csv", index=False)
    given = ("pairs", "claims.csv", "--match", "x", "--out", "made.csv")
    refused = command(*given, fails=True)
    assert "what should the model answer to a text of claims.csv with the label '1'? Say it with --answers (" in refused
    assert not (folder / "made.csv").exists()
    said = command(*given, "--answers", "1=yes,0=no", "--ask", " Is it?")
    assert said.startswith("made.csv: 4 pairs of rows of claims.csv that are alike in x and have different labels\n")
    assert pd.read_csv(folder / "made.csv").iloc[0].to_dict() == dict(
        base="red is red. Is it?",
        source="red is blue. Is it?",
        base_answer="yes",
        source_answer="no",
        value=1,
        source_value=0,
        group="red",
    )
    assert "is there already: name another file" in command(*given, fails=True)
    assert "the name of a table ends in .csv or .parquet" in command(*given[:-1], "made.xlsx", fails=True)
    asked = (word.replace("pairs (1).csv", "claims.csv") for word in ASKED)
    refused = command("audit", *asked, "--out", "no", fails=True)
    assert refused.startswith("error: claims.csv holds statements with labels ('claim', 'label'), one a row, and no ")
    assert "subspace-illusion pairs claims.csv --match x makes pairs" in refused


def test_localising_writes_one_folder(command, folder):
    said = command("localise", *GIVEN, "--most", "4", "--out", "where")
    assert "nowhere by 0.1 of the clean one" in said  # the model is random
    window = json.loads((folder / "where/window.json").read_text())
    assert window["pairs"] == 4
    assert (folder / "where/report.html").read_text().count("<img") == 2
    assert "add --force" in command("localise", *GIVEN, "--out", "where", fails=True)


@pytest.mark.slow
def test_workers_find_the_same(command, folder):
    two = (*ASKED, "--hook", "blocks.2.mlp.hook_post")
    alone = command("audit", *two, "--out", "one")
    shared = command("audit", *two, "--scheduler", "local", "--workers", "1", "--out", "many")
    verdicts = [Audit.load(folder / name).document.verdicts for name in ("one", "many")]
    assert Audit.load(folder / "one").about["notes"] == Audit.load(folder / "many").about["notes"]
    assert [one.model_dump() for one in verdicts[0]] == [one.model_dump() for one in verdicts[1]]
    assert f"{HOOK}, mine: " in alone
    assert f"{HOOK}, mine: " in shared
    assert sorted(path.name for path in folder.iterdir() if path.name.startswith(".")) == []


def by_workers(monkeypatch, work):
    """Lets units be done here, each by ``work``."""

    def here(units, compute, word):
        monkeypatch.setattr(units_module, "compute", work)
        return units_module.run_units(units, compute.model_copy(update=dict(scheduler="none", threads=1)), word)

    monkeypatch.setattr("subspace_illusion.cli.fan_out.run_units", here)


def test_units_draw_nothing_and_are_kept_until_all_are_done(command, folder, monkeypatch):
    two = (*ASKED, "--hook", "blocks.2.mlp.hook_post", "--scheduler", "local", "--out", "kept/many")
    done = []

    def one_alone(*given):
        if done:
            raise KeyboardInterrupt
        done.append(given)
        compute(*given)

    by_workers(monkeypatch, one_alone)
    done.append("stopped at once")
    assert command("audit", *two, fails=True).strip().startswith("stopped; nothing was written")
    assert not (folder / "kept").exists()
    done.clear()
    monkeypatch.setattr(Audit, "report", lambda *given: pytest.fail("drawn"))
    said = command("audit", *two, fails=True)
    assert "stopped; what is done is kept in kept/.many.units, and the same command goes on from there" in said
    assert [path.name for path in (folder / "kept").iterdir()] == [".many.units"]
    monkeypatch.undo()
    monkeypatch.chdir(folder)
    by_workers(monkeypatch, compute)
    source = dict(repository="somebody/model", revision="abc")
    monkeypatch.setattr("subspace_illusion.cli.fan_out.open_source", lambda name: (folder / name, source))
    said = command("audit", *two)
    begin = f"auditing mine, the mean difference at 2 components, {HOOK} to blocks.2.mlp.hook_post"
    assert said.startswith(f"{begin}: by 2 processes")
    assert "1 of 2 are in kept/.many.units already" in said
    assert [path.name for path in (folder / "kept").iterdir()] == ["many"]
    model = Audit.load(folder / "kept/many").document.model
    assert model["sha256"]
    assert {key: model.get(key) for key in ("repository", "revision", "path")} == {**source, "path": None}


@pytest.mark.parametrize(("hooks", "planted"), [((HOOK,), True), ((HOOK, "blocks.2.mlp.hook_post"), False)])
def test_workers_plant_in_a_component_that_is_the_only_one(command, monkeypatch, hooks, planted):
    def stopped(units, *given):
        assert [one.arguments["settings"]["calibrate"] for one in units] == [planted] * len(hooks)
        raise InputError("seen")

    monkeypatch.setattr("subspace_illusion.cli.fan_out.run_units", stopped)
    named = [word for hook in hooks for word in ("--hook", hook)]
    asked = (*GIVEN, *named, "--direction", "mine=w.npy", "--scheduler", "local", "--out", "planted/many")
    assert "seen" in command("audit", *asked, fails=True)


def test_an_error_of_a_worker_names_the_component_alone(command, folder, monkeypatch):
    def fails(*given):
        raise InputError("no pairs")

    by_workers(monkeypatch, fails)
    said = command("audit", *ASKED, "--scheduler", "local", "--out", "bad/many", fails=True)
    assert said.startswith(f"error: {HOOK}: no pairs ")
    assert not (folder / "bad").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("--scheduler", "127.0.0.1:8786"),
            "'127.0.0.1:8786' is not none, local or an address such as tcp://127.0.0.1",
        ),
        (("--workers", "0"), "argument --workers: '0' is no whole number from 1 on"),
        (("--seeds", "1", "1"), "seeds is [1, 1]: give each once"),
        (("--hook", "blocks.9.mlp.hook_post"), "the model has blocks 0 to 3"),
        (("--hook", "blocks.1.hook_resid_post"), "the hooks hold vectors of different length"),
        (("--direction", "short=short.npy"), "short.npy"),
        (("--direction", "trained=w.npy"), "there is no file trained=w.npy, nor is what stands before the = a label"),
        (("--position", "nobody"), "nobody"),
    ],
)
def test_what_is_wrong_is_said_before_workers_start(command, folder, monkeypatch, words, message):
    np.save(folder / "short.npy", np.ones(7))
    pairs = pd.read_csv(folder / "pairs (1).csv").drop(columns=["position", "source_position"])
    pairs.to_csv(folder / "plain.csv", index=False)
    monkeypatch.setattr("subspace_illusion.cli.fan_out.run_units", lambda *given: pytest.fail("workers started"))
    plain = ("--pairs", "plain.csv") if "--position" in words else ()
    said = command("audit", *ASKED, "--scheduler", "local", "--out", "wrong", *plain, *words, fails=True)
    assert message in said


@pytest.mark.parametrize(
    ("out", "message"),
    [
        (".", "this command runs in that folder"),
        ("..", "this command runs in that folder"),
        ("made/..", "this command runs in that folder"),
        ("dangling", "the link dangling leads nowhere"),
        ("dangling/x", "the link dangling leads nowhere"),
        ("w.npy/x", "nothing can be written to"),
    ],
)
def test_a_place_that_cannot_be_written_is_refused_first(command, folder, monkeypatch, out, message):
    (folder / "empty").mkdir(exist_ok=True)
    monkeypatch.chdir(folder / "empty")
    if not Path("dangling").is_symlink():
        Path("dangling").symlink_to("nowhere")
        Path("w.npy").write_bytes(b"")
    given = ("--model", folder / "model", "--pairs", folder / "pairs (1).csv", "--out", out)
    for name in ("audit", "localise"):
        hook = ("--hook", HOOK) if name == "audit" else ()
        assert message in command(name, *map(str, given), *hook, fails=True)
    assert message in command("compare", "a", "b", "--out", out, fails=True)


def test_a_link_to_a_folder_is_followed(folder, monkeypatch):
    monkeypatch.chdir(folder)
    (folder / "target").mkdir()
    (folder / "link").symlink_to("target")
    assert free_place(Path("link/found")) == Path("target/found")
    assert free_place(Path("/somewhere")) == Path("/somewhere")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("compare", "a", "b", "--resamples", "-5"), "argument --resamples: '-5' is no whole number from 1 on"),
        (("compare", "o6", "o7"), "o6 is neither an audit's folder nor a run of the pipeline"),
        (("audit", *ASKED, "--columns", "base", "--out", "none"), "'base' is not of the form name=value,name=value"),
        (("audit", *ASKED, "--columns", "base=x", "--out", "none"), "pairs (1).csv has no column 'x', which is to be"),
        (("localise", *GIVEN, "--counterfactual", "x", "--out", "no"), "has no columns with kinds of counterfactual"),
        (("localise", *GIVEN, "--out", "most", "--most", "0"), "argument --most: '0' is no whole number from 1 on"),
        (("audit", *GIVEN, "--hook", HOOK, "--direction", "", "--out", "none"), "'' names no file"),
        (("audit", *GIVEN, "--hook", HOOK, "--no-train", "--out", "none"), "with --direction, or leave --no-train out"),
    ],
)
def test_what_is_mistyped_is_one_line(command, words, message):
    assert message in command(*words, fails=True)


def test_the_pairs_that_a_model_gets_wrong_are_kept_by_the_commands_own_option(command, monkeypatch):
    def all_wrong(table, *given):
        return mark_kept(table.assign(ld=-1.0), *given)

    for module in ("call", "localising"):
        monkeypatch.setattr(f"subspace_illusion.auditing.{module}.mark_kept", all_wrong)
    given = [word for word in GIVEN if word != "--keep-incorrect"]
    for words in (("audit", *given, "--hook", HOOK), ("localise", *given)):
        assert command(*words, "--out", "wrong", fails=True).strip().splitlines()[0].endswith("or add --keep-incorrect")


def test_a_run_that_is_stopped_says_what_is_left(command, folder, monkeypatch):
    def stopped(*given, **more):
        raise KeyboardInterrupt

    monkeypatch.setattr("subspace_illusion.auditing.call.audit", stopped)
    assert command("audit", *ASKED, "--out", "stopped", fails=True).strip() == "stopped; nothing was written"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--pairs", "nowhere.csv"), "--pairs nowhere.csv: there is no such file"),
        (("--pairs", "."), "--pairs . is a folder: name the file in it"),
        (("--model", "nowhere"), "nowhere is neither a folder nor a model"),
        (("--hook", "blocks.9.mlp.hook_post"), "the model has blocks 0 to 3"),
        (("--direction", "nowhere.npy"), "there is no file nowhere.npy"),
        (("--direction", "mine=w.npy", "--direction", "mine=w.npy"), "another is called 'mine' already"),
        (("--out", "w.npy"), "w.npy is there already and is no folder"),
        (("--out", "w.npy/x"), "nothing can be written to"),
        (("--steps", "0"), "steps"),
        (("--position", "nobody"), "nobody"),
        ((), "there is no subspace to audit"),
    ],
)
def test_what_is_wrong_is_one_line_and_leaves_nothing(command, folder, words, message):
    wanted = {"--model": "model", "--pairs": "pairs (1).csv", "--hook": HOOK, "--out": "wrong"}
    said = list(zip(words[::2], words[1::2], strict=True))
    wanted |= {name: value for name, value in said if name != "--direction"}
    directions = [part for name, value in said if name == "--direction" for part in (name, value)]
    directions = directions or ["--direction", "mine=w.npy"] * bool(said)
    if "--position" in words:
        pairs = pd.read_csv(folder / "pairs (1).csv").drop(columns=["position", "source_position"])
        pairs.to_csv(folder / "plain.csv", index=False)
        wanted["--pairs"] = "plain.csv"
    given = [part for item in wanted.items() for part in item]
    answer = command("audit", *given, *directions, "--no-train", "--keep-incorrect", fails=True)
    assert message in answer
    assert "Traceback" not in answer
    assert not (folder / "wrong").exists()
