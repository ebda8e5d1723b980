"""The commands that run in one process: from files in one folder to what they write in another."""

import json
import shutil
import sys

import numpy as np
import pandas as pd
import pytest

import tiny
from subspace_illusion import Audit
from subspace_illusion.cli.main import main

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
ASKED = (*GIVEN, "--hook", HOOK, "--direction", "mine=w.npy", "--no-train")


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
    refused = command("audit", *ASKED, "--out", "out/first", fails=True)
    assert "out/first is there already: name another folder, or add --force" in refused
    command("audit", *ASKED, "--out", "out/first", "--force")
    assert "controls" not in Audit.load(folder / "out/first").tables


def test_two_audits_are_compared(command, folder):
    for name, more in (("a", ()), ("b", ("--direction", "other=w.npy"))):
        command("audit", *ASKED, *more, "--out", f"compared/{name}")
    said = command("compare", "compared/a", "compared/b", "--out", "compared/differ")
    table = pd.read_csv(folder / "compared/differ/differences.csv").set_index("what")
    assert abs(table.loc[f"{HOOK}:mine", "difference"]) < 1e-6
    assert (folder / "compared/differ/differences.png").is_file()
    assert "b - a on the same pairs" in said
    one = command("compare", f"compared/a#{HOOK}:mine", f"compared/b#{HOOK}:other")
    assert f"{HOOK}:mine and {HOOK}:other" in one
    assert "there is no" in command("compare", f"compared/a#{HOOK}:nobody", "compared/b", fails=True)
    assert "holds no audit" in command("compare", "model", "compared/b", fails=True)


def test_localising_writes_one_folder(command, folder):
    said = command("localise", *GIVEN, "--most", "4", "--out", "where")
    assert "worth an audit: --hook blocks." in said.lower()
    window = json.loads((folder / "where/window.json").read_text())
    assert window["pairs"] == 4
    assert (folder / "where/report.html").read_text().count("<img") == 2
    assert "add --force" in command("localise", *GIVEN, "--out", "where", fails=True)


@pytest.mark.slow
def test_workers_find_the_same(command, folder):
    two = (*ASKED, "--hook", "blocks.2.mlp.hook_post")
    alone = command("audit", *two, "--out", "one")
    shared = command("audit", *two, "--scheduler", "local", "--out", "many")
    verdicts = [Audit.load(folder / name).document.verdicts for name in ("one", "many")]
    assert [one.model_dump() for one in verdicts[0]] == [one.model_dump() for one in verdicts[1]]
    assert f"{HOOK}, mine: " in alone
    assert f"{HOOK}, mine: " in shared
    assert sorted(path.name for path in folder.iterdir() if path.name.startswith(".")) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--pairs", "nowhere.csv"), "--pairs nowhere.csv: there is no such file"),
        (("--model", "nowhere"), "nowhere is neither a folder nor a model"),
        (("--hook", "blocks.9.mlp.hook_post"), "the model has blocks 0 to 3"),
        (("--direction", "nowhere.npy"), "there is no file nowhere.npy"),
        (("--direction", "mine=w.npy", "--direction", "mine=w.npy"), "another is called 'mine' already"),
        (("--out", "w.npy"), "w.npy is there already and holds something else"),
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
