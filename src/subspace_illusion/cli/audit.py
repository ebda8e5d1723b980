"""Is a direction of yours what the model uses, or an illusion? Audits subspaces of a component on your own pairs.

Writes the parameters as conf/components/<name>.yaml, runs them as a DVC experiment (cached, and comparable with
dvc exp show), and prints each verdict with its evidence. A subspace is also trained there (DAS), and so is one of the
residual stream after the component's block, to stand beside yours.

A hook with * for the block (blocks.*.mlp.hook_post) names a component of every block and gives a map by block, without
controls.
"""

import argparse
import hashlib
import re
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from subspace_illusion.cli.experiment import (
    add_run_arguments,
    check_project,
    keep,
    model_overrides,
    n_blocks,
    run_experiment,
    task_overrides,
    write_components,
)
from subspace_illusion.core.sites import Site, residual_after
from subspace_illusion.errors import InputError
from subspace_illusion.files import read_table
from subspace_illusion.pipeline.layout import HEADLINE, RESULTS
from subspace_illusion.report.words import shown
from subspace_illusion.subspace.keys import MEAN_DIFFERENCE, POOLED, TRAINED, WHOLE, SubspaceKey, with_keys
from subspace_illusion.subspace.user_subspaces import parse_spec

EVERY = "*"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    add_run_arguments(parser)
    parser.add_argument("--hook", required=True, help="such as blocks.20.mlp.hook_post, or blocks.*.mlp.hook_post")
    parser.add_argument(
        "--direction",
        action="append",
        default=[],
        metavar="[LABEL=]FILE[#TENSOR[:ROWS]]",
        help="a subspace of yours: safetensors, npy, a torch file, an SAELens folder; may be given several times",
    )
    parser.add_argument("--rank", type=int, default=1, help="of the subspace that is trained beside (default: 1)")
    parser.add_argument(
        "--no-train",
        action="store_true",
        help="train none at the component, and leave out the controls, which takes less time (the one of the residual "
        "stream is trained all the same, so at hook_resid_post this trains)",
    )


def run(options: argparse.Namespace) -> None:
    """Runs the audit.

    Raises:
        InputError: If something that was given is wrong, or a stage of the experiment failed.
    """
    check_project()
    if options.no_train and not options.direction:
        raise InputError("--no-train leaves nothing to look at without a --direction")
    chosen = [*model_overrides(options.model), *task_overrides(options)]
    subspaces: dict[str, Any] = {}
    for number, text in enumerate(options.direction):
        label, direction = _direction(text, number)
        if label in subspaces:
            raise InputError(f"--direction {text}: another is called '{label}' already; give it a label, name=FILE")
        subspaces[label] = direction
    every = EVERY in options.hook
    if options.hook.count(EVERY) > 1:
        raise InputError(f"--hook {options.hook}: one * alone, in the place of the block; name the head")
    blocks = range(n_blocks(chosen)) if every else [0]
    sites = [Site.parse(options.hook.replace(EVERY, str(block))) for block in blocks]
    asked = dict(rank=options.rank) | (dict(train=False) if options.no_train else {})
    asked |= dict(subspaces=subspaces) if subspaces else {}
    components = {component_name(site): dict(hook=site.name) | asked for site in sites}
    # In a map by block there is one v_true, after the middle one.
    middle = sites[len(sites) // 2]
    after = residual_after(middle.block)
    v_true = component_name(after)
    # Which is trained whatever is not: what the component writes is read along it.
    components = {v_true: dict(hook=after.name, rank=options.rank)} | components
    components[v_true].pop("train", None)
    trained_mlp = middle.readout == ("mlp", "out") and not options.no_train
    roles = dict(v_true=v_true, v_mlp=component_name(middle) if trained_mlp else None)
    name = options.name or default_name(options, chosen)
    write_components(name, components, roles, ["subspace-illusion", *sys.argv[1:]])
    controlled = [] if every or options.no_train else [component_name(middle)]
    overrides = [*chosen, f"components={name}", "size=audit", f"experiments.controls=[{','.join(controlled)}]"]
    print(
        f"auditing {', '.join(subspaces) or 'what DAS finds'} at {options.hook} on {options.pairs} as the experiment "
        f"{name}: some minutes for a small model",
        flush=True,
    )
    if every and subspaces and not middle.is_residual_vector:
        print(
            "the same direction is patched in every block, where its coordinates are those of other neurons or heads "
            "each time",
            flush=True,
        )
    run_experiment(name, [*overrides, *options.set])
    print()
    print(HEADLINE.read_text(encoding="utf-8"))
    if every:
        print(by_block(sites, list(subspaces)).to_string(index=False))
    print(f"\nThe experiment is {name}: dvc exp show, dvc metrics diff, subspace-illusion compare.")


def component_name(site: Site) -> str:
    """A short name for a component: what it is, and its block."""
    kinds = {
        "hook_resid_post": "resid", "mlp.hook_post": "mlp", "hook_mlp_out": "mlp_out", "hook_attn_out": "attn_out",
        "attn.hook_z": "z", "hook_resid_mid": "resid_mid", "hook_resid_pre": "resid_pre",
    }  # fmt: skip
    kind = kinds.get(site.point, re.sub(r"\W", "_", site.point))
    return f"{kind}{site.block}" + ("" if site.head is None else f"_{site.head}")


def default_name(options: argparse.Namespace, chosen: list[str]) -> str:
    """A name for the experiment that tells what is asked: another question has another name."""
    said = repr((chosen, options.hook, options.direction, options.rank, options.no_train, options.set))
    kind = re.sub(r"\W+", "-", options.hook.replace(EVERY, "every")).strip("-")
    return f"audit-{kind}-{hashlib.sha256(said.encode()).hexdigest()[:6]}"


def by_block(sites: list[Site], labels: list[str]) -> pd.DataFrame:
    """The map by block: effects as shares of the clean LD, and verdicts, of the component whole, what was trained there
    if anything was, the mean difference, and yours."""
    effects = with_keys(read_table(RESULTS / "effects.csv", text=("seed",)))
    effects = effects[effects["seed"] == POOLED].set_index(["component", "subspace"])["fldd"]
    verdicts = with_keys(read_table(RESULTS / "verdicts.csv"))
    verdicts = verdicts.set_index(["component", "subspace"])["verdict"]
    names = [component_name(site) for site in sites]
    asked = (SubspaceKey(TRAINED), SubspaceKey(MEAN_DIFFERENCE), *map(SubspaceKey.user, labels))
    keys = [key for key in asked if any((name, key) in effects.index for name in names)]
    rows: list[dict[str, Any]] = []
    for site, name in zip(sites, names, strict=True):
        row: dict[str, Any] = dict(block=site.block)
        row |= {shown(key): round(effects.get((name, key), float("nan")), 2) for key in (WHOLE, *keys)}
        rows.append(row | {f"{shown(key)} is": verdicts.get((name, key), "") for key in keys})
    return pd.DataFrame(rows)


def _direction(text: str, number: int) -> tuple[str, dict[str, Any]]:
    """A subspace of the user's as its label and its parameters, the file kept in the project.

    Raises:
        InputError: If there is no such file.
    """
    label, given = re.fullmatch(r"(?:([A-Za-z][\w -]*)=)?(.+)", text, re.DOTALL).groups()  # type: ignore[union-attr]
    file, tensor, rows = parse_spec(given)
    if not Path(file).exists():
        raise InputError(f"--direction {text}: there is no file {file}")
    found = dict(file=str(keep(file)), tensor=tensor, rows=rows)
    return label or ("mine" if number == 0 else f"mine{number + 1}"), {k: v for k, v in found.items() if v is not None}
