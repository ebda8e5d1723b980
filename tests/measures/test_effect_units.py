import numpy as np

from subspace_illusion.core.outcome import Outcome
from subspace_illusion.core.sites import Site
from subspace_illusion.measures.effect_units import patched_of, table_of
from subspace_illusion.measures.effects import Patched
from subspace_illusion.subspace.keys import MEAN_DIFFERENCE, TRAINED, WHOLE, SubspaceKey


def outcome(*ld: float) -> Outcome:
    return Outcome(np.array([ld]), np.array([ld]) < 0)


def test_a_table_of_patches_gives_the_patches_again():
    trained, user = SubspaceKey(TRAINED), SubspaceKey.user("mine")
    seeds = {trained.of_seed(0): outcome(1.0, -2.0, 1 / 3), trained.of_seed(1): outcome(3.0, 4.0, -5e-17)}
    one = {SubspaceKey(MEAN_DIFFERENCE): outcome(0.5, 0.0, -1.0), WHOLE: outcome(-1.0, -2.0, -3.0)}
    one[user] = outcome(1.0, 1.0, 1.0)
    every = Outcome.pooled(list(seeds.values()))
    patched = Patched(Site(1, "mlp.hook_post"), {**seeds, trained: every, **one}, outcome(7.0, 8.0, 9.0))
    again = patched_of(table_of(patched), "blocks.1.mlp.hook_post")
    assert again.site == patched.site
    assert set(again.outcomes) == set(patched.outcomes)
    both = [(outcome, again.outcomes[key]) for key, outcome in patched.outcomes.items()]
    for one_outcome, got in [*both, (patched.residual, again.residual)]:
        assert np.array_equal(got.ld, one_outcome.ld)
        assert np.array_equal(got.top1_foil, one_outcome.top1_foil)
