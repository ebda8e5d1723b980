import numpy as np

from subspace_illusion.core.outcome import Outcome
from subspace_illusion.core.sites import Site
from subspace_illusion.measures.effect_units import patched_of, table_of
from subspace_illusion.measures.effects import Patched
from subspace_illusion.statistics import POOLED
from subspace_illusion.subspace.methods import MEAN_DIFFERENCE, TRAINED, WHOLE


def outcome(*ld: float) -> Outcome:
    return Outcome(np.array([ld]), np.array([ld]) < 0)


def test_a_table_of_patches_gives_the_patches_again():
    seeds = {(TRAINED, "0"): outcome(1.0, -2.0, 1 / 3), (TRAINED, "1"): outcome(3.0, 4.0, -5e-17)}
    one = {(MEAN_DIFFERENCE, POOLED): outcome(0.5, 0.0, -1.0), (WHOLE, POOLED): outcome(-1.0, -2.0, -3.0)}
    every = Outcome.pooled(list(seeds.values()))
    patched = Patched(Site(1, "mlp.hook_post"), {**seeds, (TRAINED, POOLED): every, **one}, outcome(7.0, 8.0, 9.0))
    again = patched_of(table_of(patched), "blocks.1.mlp.hook_post")
    assert again.site == patched.site
    assert set(again.outcomes) == set(patched.outcomes)
    for key, of in [*patched.outcomes.items(), ("residual", patched.residual)]:
        got = again.residual if key == "residual" else again.outcomes[key]
        assert np.array_equal(got.ld, of.ld)
        assert np.array_equal(got.top1_foil, of.top1_foil)
