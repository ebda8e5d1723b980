"""Runs every prompt once and keeps what the components need for replaying its tail alone, in data/activations.

For every prompt: the activation at the position at each component, the residual stream where its replay starts and
after its block. For prompts that are replayed also the keys and values of the earlier tokens and, where the position is
not the last token, the residual stream of those after it. For every pair: the clean logit difference of both prompts,
and whether it is kept: with cache.filter_incorrect, pairs that the model gets wrong are left out.
"""

import shutil

from subspace_illusion.core.activations import cache_shard, finish_cache, megabytes, shards_of, sites_of, with_clean
from subspace_illusion.core.opening import open_model
from subspace_illusion.errors import InputError
from subspace_illusion.files import atomic_folder, read_table
from subspace_illusion.pipeline.layout import ACTIVATIONS, MODEL, PAIRS, PROMPTS
from subspace_illusion.pipeline.sections import Cache, Components
from subspace_illusion.pipeline.stage import progress, run, say
from subspace_illusion.subspace.user_subspaces import read_user_subspace
from subspace_illusion.tasks.table import mark_kept, replayed


def main(components: Components, cache: Cache) -> None:
    model = open_model(MODEL)
    listed = {name: component.at for name, component in components.items()}
    for component in components.values():
        model.check(component.at)
        # Before what takes minutes: whether the user's own subspaces fit.
        for own in component.subspaces.values():
            read_user_subspace(own.file, model.width(component.at), own.tensor, own.rows)
    sites = list(dict.fromkeys(site for component in listed.values() for site in sites_of(component)))
    pairs, prompts = read_table(PAIRS), read_table(PROMPTS)
    prompts["has_tail"] = prompts["prompt"].isin(replayed(pairs))
    size = megabytes(model, prompts, list(listed.values()), sites)
    say(f"caching {len(sites)} sites and the tails of {len(prompts)} prompts, {size:.0f} MB")
    if size * 1e6 > shutil.disk_usage(".").free:
        raise InputError(f"the disk has no room for {size:.0f} MB: lower prompts.train_cases or prompts.test_cases")
    with atomic_folder(ACTIVATIONS) as folder:
        cached = [
            cache_shard(folder, f"{number:04d}", model, shard, pairs, list(listed.values()), sites)
            for number, shard in enumerate(progress(shards_of(prompts, cache.shard_size), "shard"))
        ]
        index, clean = zip(*cached, strict=True)
        marked = mark_kept(with_clean(pairs, clean), cache.filter_incorrect, "cache.filter_incorrect")
        finish_cache(folder, model, listed, index, marked)
    say(f"{marked['right'].mean():.0%} of the pairs are right without a patch; {marked['kept'].sum()} are kept")


if __name__ == "__main__":
    run(main, __doc__)
