"""Runs every prompt once and keeps what the components need for replaying its tail alone, in data/activations.

For every prompt: the activation at the position at each component, the residual stream where its replay starts and
after its block. For prompts that are replayed also the keys and values of the earlier tokens and, where the position is
not the last token, the residual stream of those after it. For every pair: the clean logit difference of both prompts,
and whether it is kept: pairs that the model gets wrong are left out, unless task.wrong_pairs says otherwise.
"""

import shutil

from subspace_illusion.core.activations import cache_shard, finish_cache, megabytes, shards_of, sites_of, with_clean
from subspace_illusion.core.model import open_model
from subspace_illusion.errors import InputError
from subspace_illusion.files import ACTIVATIONS, MODEL, PAIRS, PROMPTS, atomic_folder, read_table
from subspace_illusion.pipeline.params import Params
from subspace_illusion.pipeline.stage import duration, progress, run, say
from subspace_illusion.subspace.user_subspaces import read_user_subspace
from subspace_illusion.tasks.table import mark_kept, replayed


def main(params: Params) -> None:
    model = open_model(MODEL)
    components = {name: component.at for name, component in params.components.items()}
    for component in params.components.values():
        model.check(component.at)
        # Before what takes minutes: whether the user's own subspaces fit.
        for own in component.subspaces.values():
            read_user_subspace(own.file, model.width(component.at), own.tensor, own.rows)
    sites = list(dict.fromkeys(site for component in components.values() for site in sites_of(component)))
    pairs, prompts = read_table(PAIRS), read_table(PROMPTS)
    prompts["has_tail"] = prompts["prompt"].isin(replayed(pairs))
    size = megabytes(model, prompts, list(components.values()), sites)
    time = duration(model.flops(0, len(prompts), prompts["end"].mean()), model.device)
    say(f"caching {len(sites)} sites and the tails of {len(prompts)} prompts: {size:.0f} MB, {time}")
    if size * 1e6 > shutil.disk_usage(".").free:
        raise InputError(f"the disk has no room for {size:.0f} MB: lower prompts.train_cases or prompts.test_cases")
    shards = shards_of(prompts, params.cache.shard_size)
    with atomic_folder(ACTIVATIONS) as folder:
        cached = [
            cache_shard(folder, f"{number:04d}", model, group, pairs, list(components.values()), sites)
            for number, group in enumerate(progress(shards, "shard"))
        ]
        index, clean = zip(*cached, strict=True)
        marked = mark_kept(with_clean(pairs, clean), params.task.wrong_pairs == "keep")
        finish_cache(folder, model, components, index, marked)
    say(f"{marked['right'].mean():.0%} of the pairs are right without a patch; {marked['kept'].sum()} are kept")


if __name__ == "__main__":
    run(main, __doc__)
