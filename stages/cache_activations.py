"""Runs every prompt once and keeps what the components need (tail replay, design.md section 5) in data/activations.

For every prompt: the activation at END at each component, the residual stream where its replay starts and after its
block, the clean logits. For prompts that serve as bases also the keys and values of the earlier positions.
"""

import shutil

import pandas as pd

from subspace_illusion.core.activations import sites_of, write_manifest, write_shard
from subspace_illusion.core.model import open_model
from subspace_illusion.core.outcome import logit_difference
from subspace_illusion.core.replay import record
from subspace_illusion.errors import InputError
from subspace_illusion.files import (
    ACTIVATIONS,
    MODEL,
    PAIRS,
    PROMPTS,
    column,
    read_table,
    whole_folder,
    write_table,
    write_tensors,
)
from subspace_illusion.pipeline.stage import duration, progress, run, say


def shards_of(prompts: pd.DataFrame, size: int) -> list[pd.DataFrame]:
    """Prompts of one template and one use, so that a shard has one length and one layout."""
    groups = prompts.groupby(["split", "template", "is_base"], sort=False)
    return [group.iloc[i : i + size] for _, group in groups for i in range(0, len(group), size)]


def main(params) -> None:
    model = open_model(MODEL)
    components = {name: component.at for name, component in params.components.items()}
    for site in components.values():
        model.check(site)
    sites = list(dict.fromkeys(site for component in components.values() for site in sites_of(component)))
    first = min(site.start for site in components.values())
    prompts = read_table(PROMPTS)
    prompts["is_base"] = prompts["prompt"].isin(read_table(PAIRS)["base"])
    shards = shards_of(prompts, params.cache.shard_size)

    probe = record(model, column(prompts[:1], "tokens"), sites, tail_from=first)
    per_prompt = sum(x.nbytes for x in probe.activations.values())
    per_token = sum(x.nbytes for x in [*probe.tail.keys.values(), *probe.tail.values.values()]) / prompts["end"][0]
    megabytes = (per_prompt * len(prompts) + per_token * prompts.loc[prompts["is_base"], "end"].sum()) / 1e6
    time = duration(model.flops(0, int(prompts["end"].sum())), model.device)
    say(
        f"caching {len(sites)} sites of {len(prompts)} prompts, keys and values from block {first} on: "
        f"{megabytes:.0f} MB, {time}"
    )
    if megabytes * 1e6 > shutil.disk_usage(".").free:
        raise InputError(
            f"the disk has no room for {megabytes:.0f} MB: lower prompts.train_cases or prompts.test_cases"
        )

    index = []
    with whole_folder(ACTIVATIONS) as folder:
        for number, group in enumerate(progress(shards, "shard")):
            shard = f"{number:04d}"
            tail_from = first if group["is_base"].all() else None
            recording = record(model, column(group, "tokens"), sites, tail_from)
            write_shard(folder, shard, recording)
            io, s = column(group, "io_id"), column(group, "s_id")
            index.append(
                pd.DataFrame(
                    dict(
                        prompt=group["prompt"],
                        shard=shard,
                        row=range(len(group)),
                        length=group["end"] + 1,
                        ld=logit_difference(recording.logits, io, s).numpy(),
                        logit_io=recording.logits.gather(1, io[:, None])[:, 0].numpy(),
                        logit_s=recording.logits.gather(1, s[:, None])[:, 0].numpy(),
                        top1_id=recording.logits.argmax(1).numpy(),
                    )
                )
            )
        write_table(folder / "index.parquet", pd.concat(index).sort_values("prompt"))
        for name, site in components.items():
            if (readout := model.readout(site)) is not None:
                write_tensors(folder / "readout" / f"{name}.safetensors", dict(W=readout))
            write_manifest(folder, name, site, model.n_blocks)


if __name__ == "__main__":
    run(main, __doc__, reads=("components", "cache"))
