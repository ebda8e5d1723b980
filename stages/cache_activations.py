"""Runs every prompt once and keeps what the components need for replaying END alone, in data/activations.

For every prompt: the activation at END at each component, the residual stream where its replay starts and after its
block, the clean logits. For prompts that serve as bases also the keys and values of the earlier positions.
"""

import shutil

from subspace_illusion.core.activations import cache_shard, finish_cache, megabytes, shards_of, sites_of
from subspace_illusion.core.model import open_model
from subspace_illusion.errors import InputError
from subspace_illusion.files import ACTIVATIONS, MODEL, PAIRS, PROMPTS, read_table, whole_folder
from subspace_illusion.pipeline.params import Params
from subspace_illusion.pipeline.stage import duration, progress, run, say


def main(params: Params) -> None:
    model = open_model(MODEL)
    components = {name: component.at for name, component in params.components.items()}
    for site in components.values():
        model.check(site)
    sites = list(dict.fromkeys(site for component in components.values() for site in sites_of(component)))
    first = min(site.start for site in components.values())
    prompts = read_table(PROMPTS)
    prompts["is_base"] = prompts["prompt"].isin(read_table(PAIRS)["base"])
    size = megabytes(model, prompts, sites, first)
    time = duration(model.flops(0, int(prompts["end"].sum())), model.device)
    say(f"caching {len(sites)} sites of {len(prompts)} prompts, keys from block {first} on: {size:.0f} MB, {time}")
    if size * 1e6 > shutil.disk_usage(".").free:
        raise InputError(f"the disk has no room for {size:.0f} MB: lower prompts.train_cases or prompts.test_cases")
    shards = shards_of(prompts, params.cache.shard_size)
    with whole_folder(ACTIVATIONS) as folder:
        index = [
            cache_shard(folder, f"{number:04d}", model, group, sites, first)
            for number, group in enumerate(progress(shards, "shard"))
        ]
        finish_cache(folder, model, components, index)


if __name__ == "__main__":
    run(main, __doc__)
