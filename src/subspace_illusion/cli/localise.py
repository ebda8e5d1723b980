"""Where does a variable live in a model? Patches every component of every block whole on your pairs.

It takes some of the training pairs (24; --set localise.pairs=200 takes more). Prints which block writes it and which
reads it, at which token it is when, and a piece of YAML with the components worth looking at. The list has to be
written out, because DVC makes its stages from it: there is no "components: auto".
"""

import argparse

import yaml

from subspace_illusion.cli.audit import component_name, default_name
from subspace_illusion.cli.experiment import (
    add_run_arguments,
    check_project,
    model_overrides,
    n_blocks,
    run_experiment,
    task_overrides,
    write_components,
)
from subspace_illusion.core.sites import Site, residual_after
from subspace_illusion.files import read_json, read_table
from subspace_illusion.measures.localise import origin
from subspace_illusion.pipeline.layout import RESULTS

MOST = 4
"""MLPs that are suggested, spread over those between the block that writes and the one that reads."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's arguments."""
    add_run_arguments(parser)
    parser.set_defaults(hook="localise", direction=[], rank=1, no_train=False)


def run(options: argparse.Namespace) -> None:
    """Runs the localisation.

    Raises:
        InputError: If something that was given is wrong, or a stage of the experiment failed.
    """
    check_project()
    chosen = [*model_overrides(options.model), *task_overrides(options)]
    last = residual_after(n_blocks(chosen) - 1)
    name = options.name or default_name(options, chosen).replace("audit-", "")
    # One component, where the cache is smallest: it is not looked at.
    component = {component_name(last): dict(hook=last.name, rank=1)}
    write_components(name, component, dict(v_true=component_name(last), v_mlp=None), ["subspace-illusion", "localise"])
    print(f"localising on {options.pairs} as the experiment {name}: a few minutes for a small model", flush=True)
    overrides = [*chosen, f"components={name}", "size=audit", "experiments=none", "experiments.localise=[once]"]
    run_experiment(name, [*overrides, *options.set], "localise")
    window = read_json(RESULTS / "localise/window.json")
    tokens = read_table(RESULTS / "localise/map.csv").pivot(index="block", columns="tokens", values="fldd").round(2)
    print(f"\nShare of the clean logit difference lost, the residual stream patched by kind of token:\n\n{tokens}\n")
    between = f"between them the MLPs of blocks {window['mlps']}" if window["mlps"] else "no MLP between them"
    print(f"On {window['pairs']} pairs: {origin(window['writes'])}, block {window['reads']} reads it, {between}.")
    print("\nComponents worth looking at, for conf/components/<name>.yaml:\n")
    print(suggested(window["writes"], window["mlps"]))


def suggested(writes: int, mlps: list[int]) -> str:
    """A piece of YAML with the residual stream after the block that writes, and some of the MLPs that lie between."""
    step = max(1, -(-len(mlps) // MOST))
    sites = [residual_after(max(writes, 0)), *(Site(block, "mlp.hook_post") for block in mlps[::step])]
    components = {component_name(site): dict(hook=site.name, rank=1) for site in sites}
    first_mlp = next((component_name(site) for site in sites[1:]), None)
    roles = dict(v_true=component_name(sites[0]), v_mlp=first_mlp)
    return "# @package _global_\n" + yaml.safe_dump(dict(components=components, **roles), sort_keys=False)
