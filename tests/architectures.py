"""A small random model of every architecture, and what works with it: opening, replay, audits of every kind of place.

``python tests/architectures.py`` runs all of them, some half an hour, and writes ``results/architectures.csv``; with
names behind it, those alone, and writes nothing.
"""

import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import pandas as pd
import torch
import transformers
from transformers import AutoModelForCausalLM

import tiny
from kinds import KINDS
from subspace_illusion import Audit, audit
from subspace_illusion.auditing import call, component
from subspace_illusion.auditing.settings import Das
from subspace_illusion.core.model import Model
from subspace_illusion.core.opening import bridge_model, open_model
from subspace_illusion.core.replay import record, replay
from subspace_illusion.core.sites import Site
from subspace_illusion.core.tail import Tail
from subspace_illusion.core.tokenizer import Tokenizer
from subspace_illusion.errors import InputError
from subspace_illusion.files import write_table

TABLE = Path(__file__).parents[1] / "results/architectures.csv"
TOLERANCE = 1e-4
PAIRS = 24
"""Rows of the example that are audited."""
BLOCK = 1
"""The block whose places are tried."""


def hf_model(name: str, vocabulary: int, seed: int = 0) -> Any:
    """A model with random weights, large enough that a change at a token shows in the logits."""
    kind = KINDS[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = AutoModelForCausalLM.from_config(kind.config(vocabulary), attn_implementation="eager")
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.data.normal_(0, 0.2)
            else:
                parameter.data += 0.1 * torch.randn_like(parameter)
    model.config.architectures = [type(model).__name__]  # as a saved one says
    if kind.last_norm:
        model.base_model.norm.weight.data += kind.last_norm
    return model.eval()


def small_model(name: str) -> Model:
    """A model in memory."""
    words = tiny.tokenizer()
    return bridge_model(hf_model(name, len(words)), Tokenizer(words), tiny.CPU)


def opened(name: str) -> Model:
    """A model by way of a folder, as users have it."""
    with TemporaryDirectory() as folder:
        words = tiny.tokenizer()
        hf_model(name, len(words)).save_pretrained(folder)
        words.save_pretrained(folder)
        # Which class of tokenizer a folder gets goes by its model's type, and some take words apart.
        return replace(open_model(Path(folder), tiny.CPU), tokenizer=Tokenizer(words))


def places(model: Model) -> list[Site]:
    """Every site of a block, one head of what attention gives among them, and the stream of every block."""
    points = ("hook_resid_pre", "hook_resid_mid", "hook_resid_post")
    streams = [Site(block, point) for block in range(model.n_blocks) for point in points if block != BLOCK]
    sites = [Site(BLOCK, "attn.hook_z", 1), *streams]
    for name in sorted(model._probe):
        if name.startswith(f"blocks.{BLOCK}."):
            sites.append(Site(BLOCK, name.split(".", 2)[2]))
    return [site for site in sites if model.has(site)]


def farthest(model: Model, sites: Sequence[Site]) -> float:
    """By how much replays differ at most from full forward passes: each site changed, in prompts of two lengths, at END
    and before it."""
    laid_out = [(5, 2), (9, 8)]
    generator = torch.Generator().manual_seed(0)
    prompts = [torch.randint(1, 500, (2, length), generator=generator) for length, _ in laid_out]
    positions = [position for _, position in laid_out]
    tail = Tail.cat([
        record(model, tokens, tail_from=0, position=at).tail
        for tokens, at in zip(prompts, positions, strict=True)
    ])  # fmt: skip
    most = 0.0
    for site in sites:
        change = torch.randn(2 * len(prompts), model.width(site), generator=generator)
        full = [
            record(model, tokens, changes={site: rows}, position=at).logits
            for tokens, at, rows in zip(prompts, positions, change.split(2), strict=True)
        ]
        with torch.no_grad():
            logits = replay(model, tail, {site: change}).logits
        most = max(most, float((logits - torch.cat(full)).abs().max()))
    return most


def replayed(model: Model) -> None:
    """Raises what is off."""
    if not (off := farthest(model, places(model))) < TOLERANCE:
        raise InputError(f"a replay differs from the full forward pass by {off:.1g}")


def audited(model: Model, point: str, *tables: str, calibrate: bool = True) -> Audit:
    """An audit of a component, with DAS and a few planted cases; raises if a table was not made."""
    pairs = pd.read_csv(tiny.EXAMPLE)[:PAIRS]
    settings = dict(filter_incorrect=False, resamples=100, controls=False, das=Das(steps=3, batch=8))
    settings |= dict(calibrate=calibrate)
    with (
        patch.object(call, "LONGEST_PLANTING", float("inf")),  # however slow the machine is
        patch.multiple(component, DOSES=(0.0, 1.0), MIXTURES=1),
    ):
        found = audit(model, pairs, f"blocks.{BLOCK}.{point}", **settings)
    str(found)
    found.document.model_dump_json()
    needed = ("training", "decomposition", *(["planted"] if calibrate else []), *tables)
    left_out = " ".join(found.remarks.values())
    if missing := [name for name in needed if name not in found.tables and f"{name} are left out" not in left_out]:
        raise InputError("no cases are planted" if missing[0] == "planted" else f"the audit made no {missing[0]}")
    return found


def audited_mlp(model: Model) -> Audit:
    """An audit of the MLP's hidden activations; where there are experts, of its output as the refusal says."""
    try:
        return audited(model, "mlp.hook_post")
    except InputError as refused:
        if f"blocks.{BLOCK}.hook_mlp_out" in str(refused):
            audited(model, "hook_mlp_out")
        raise


STEPS: dict[str, Callable[[Model], Audit | None]] = {
    "replay": replayed,
    "the residual stream": lambda model: audited(model, "hook_resid_post", "readers"),
    "the MLP": audited_mlp,
    "one head": lambda model: audited(model, "attn.hook_z.1"),
}
"""What is tried, each by what the table calls it."""


def in_a_line(error: Exception) -> str:
    """What an error says where it is meant to be read; anything else is a traceback, and called one."""
    if isinstance(error, InputError):
        return str(error).partition("; block ")[0]  # which hooks there are instead
    last = traceback.extract_tb(error.__traceback__)[-1]
    return (
        f"TRACEBACK {type(error).__name__} in {Path(last.filename).name}:{last.lineno}: {str(error).splitlines()[:1]}"
    )


def tried(name: str) -> Iterator[tuple[str, bool, str]]:
    """The steps with a model, whether each works, and what is to say."""
    try:
        model = opened(name)
    except Exception as error:
        yield "opening", False, in_a_line(error)
        return
    for step, function in STEPS.items():
        try:
            found = function(model)
        except Exception as error:
            yield step, False, in_a_line(error)
        else:
            yield step, True, "" if found is None else "; ".join(found.remarks.values())


def row_of(name: str) -> dict[str, str]:
    """The row of the table: does it work, and why not, or with what remark."""
    steps = list(tried(name))
    failed = [step for step, works, _ in steps if not works]
    works = "yes" if not failed else "no" if {"opening", "replay"} & {*failed} else "in part"
    said: dict[str, list[str]] = {}
    for step, _, why in steps:
        if why:
            said.setdefault(why, []).append(step)
    whys = [f"{' and '.join(of_why)}: {why}" for why, of_why in said.items()]
    return dict(architecture=name, works=works, why="; ".join(whys))


if __name__ == "__main__":
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()
    rows = []
    for chosen in sys.argv[1:] or KINDS:
        rows.append(row_of(chosen))
        print(*rows[-1].values(), sep=" | ", flush=True)
    if not sys.argv[1:]:
        write_table(TABLE, pd.DataFrame(rows))
