"""Trains a probe for the subject's gender on the hidden activations of one MLP, and saves its direction.

python examples/probe/train_probe.py data/model blocks.10.mlp.hook_post probe.npy
"""

import sys
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

from subspace_illusion.core.opening import open_model
from subspace_illusion.core.replay import record_all
from subspace_illusion.core.sites import Site
from subspace_illusion.tasks.pairs_file import read_pairs
from subspace_illusion.tasks.positions import LAST
from subspace_illusion.tasks.tokenise import tokenise

PAIRS = Path(__file__).with_name("pairs.csv")


def main(folder: str, hook: str, out: str) -> None:
    model, site = open_model(Path(folder)), Site.parse(hook)
    # The same split as the audit's, so that the probe never sees what the audit measures on.
    where = dict(position=LAST, source_position=LAST)  # the table has columns for both
    prompts = tokenise(read_pairs(PAIRS), model.tokenizer, test_share=0.5, seed=0, name=PAIRS.name, **where).prompts
    run = record_all(model, prompts["tokens"], prompts["position"], [site], tail_from=site.start, batch=16)
    x, is_she, train = run.activations[site].numpy(), prompts["value"] == "she", prompts["split"] == "train"
    probe = LogisticRegression(max_iter=1000).fit(x[train], is_she[train])
    print(f"probe of {hook}: {probe.score(x[~train], is_she[~train]):.0%} of the held-out prompts right")
    np.save(out, probe.coef_)  # [1, d]


if __name__ == "__main__":
    main(*sys.argv[1:])
