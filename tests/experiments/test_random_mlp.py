import numpy as np
import pandas as pd
import pytest
import torch

from drawing import drawn, intervals, points, shown
from made import measured
from some_pairs import some_pairs
from subspace_illusion.core.basis import patch_change
from subspace_illusion.core.mlps import mlp_forward, mlp_of
from subspace_illusion.core.model import Model
from subspace_illusion.core.outcome import logit_difference
from subspace_illusion.core.random_mlp import draw_random_mlp
from subspace_illusion.core.replay import record, replay
from subspace_illusion.core.sites import Site, mlp_input, mlp_output
from subspace_illusion.errors import InputError
from subspace_illusion.experiments.random_mlp import check_is_mlp, random_mlp, train_random_mlps
from subspace_illusion.files import write_table
from subspace_illusion.report.plots.random_mlp import random_mlp_figure
from subspace_illusion.report.plots.style import BLUE, ORANGE, plt
from subspace_illusion.report.results import Results
from subspace_illusion.report.sections.random_mlp import section
from subspace_illusion.subspace.keys import TRAINED

TOKENS = torch.randint(1, 500, (6, 9), generator=torch.Generator().manual_seed(0))
HIDDEN = Site(1, "mlp.hook_post")


def test_an_mlp_by_itself_gives_what_it_gives_in_the_model(model):
    recording = record(model, TOKENS, [mlp_input(1), HIDDEN, Site(1, "mlp.hook_out")])
    hidden, output = mlp_forward(mlp_of(model, 1), recording.activations[mlp_input(1)])
    torch.testing.assert_close(hidden, recording.activations[HIDDEN], atol=1e-5, rtol=1e-4)
    found = model.centred(mlp_output(1), output)
    torch.testing.assert_close(found, recording.activations[mlp_output(1)], atol=1e-5, rtol=1e-4)


def test_a_random_mlp_has_the_real_ones_shape_and_size(model):
    mlp = mlp_of(model, 1)
    normed = record(model, TOKENS, [mlp_input(1)]).activations[mlp_input(1)]
    real = mlp_forward(mlp, normed)[1]
    random = draw_random_mlp(mlp, normed, 0, "draw", 1)
    hidden, output = mlp_forward(mlp, normed, random.parameters)
    assert output.norm(dim=1).mean() == pytest.approx(float(real.norm(dim=1).mean()), rel=1e-4)
    assert torch.equal(hidden, random.hidden(normed))
    assert not torch.allclose(output, real, atol=0.1)
    # The difference of two outputs is the difference of the hidden activations behind the readout.
    torch.testing.assert_close(
        output[1:] - output[:1], (hidden[1:] - hidden[:1]) @ random.readout, atol=1e-4, rtol=1e-4
    )
    again, other = (draw_random_mlp(mlp, normed, 0, "draw", draw) for draw in (1, 2))
    assert torch.equal(random.readout, again.readout)
    assert not torch.allclose(random.readout, other.readout)
    assert torch.equal(mlp_forward(mlp, normed)[1], real)  # the real one is as it was
    assert {name: p.shape for name, p in mlp.named_parameters()} == {n: p.shape for n, p in random.parameters.items()}


def test_patching_beside_the_real_mlp_is_adding_the_difference_of_outputs(llama):
    """By hand: the model with the random MLP's patched minus unpatched output added to the real output."""
    normed = record(llama, TOKENS, [mlp_input(1)]).activations[mlp_input(1)]
    random = draw_random_mlp(mlp_of(llama, 1), normed, 0)
    clean, patched = (mlp_forward(random.mlp, x, random.parameters)[1] for x in (normed, normed.flip(0)))
    hidden = random.hidden(normed)
    through_readout = (hidden.flip(0) - hidden) @ random.readout
    tail = record(llama, TOKENS, tail_from=1).tail
    logits = [replay(llama, tail, {mlp_output(1): change}).logits for change in (patched - clean, through_readout)]
    torch.testing.assert_close(*logits, atol=1e-4, rtol=1e-4)


def test_a_mixture_of_experts_is_an_error():
    with pytest.raises(InputError, match="no single output matrix"):
        draw_random_mlp(torch.nn.Linear(2, 2), torch.zeros(1, 2), 0)


@pytest.mark.parametrize("name", ["blocks.1.hook_resid_post", "blocks.1.attn.hook_z"])
def test_what_is_no_mlp_is_one_clear_line(name):
    with pytest.raises(InputError, match=f"random_mlp: 'it' .{name}. is not an MLP's hidden activations"):
        check_is_mlp("it", Site.parse(name))
    check_is_mlp("it", HIDDEN)


def test_draws_by_hand_and_pooled(llama: Model):
    """LD with the change of the random MLP's output added to the real one's; the pooled row is the draws' mean."""
    pairs = some_pairs(llama, [HIDDEN, mlp_input(1)], 1)
    settings = dict(steps=2, batch=4, lr=0.05, loss="cross_entropy")
    stand = train_random_mlps("x", HIDDEN, pairs, rank=1, draws=2, seed=0, settings=settings)
    assert not torch.allclose(stand.mlps[0].readout, stand.mlps[1].readout)
    real = pd.DataFrame(dict(trained=pairs.ld_clean - 2.0, residual=pairs.ld_clean - 4.0))
    rows = random_mlp("x", stand, pairs, real, seed=0, resamples=200, batch=5).set_index("draw")
    assert rows.index.tolist() == [0, 1, "pooled"]
    effects = []
    for draw, of_draw in enumerate(stand.mlps):
        base, source = (of_draw.hidden(get(mlp_input(1))) for get in (pairs.base, pairs.source))
        change = patch_change(base, source, stand.bases[draw]) @ of_draw.readout
        logits = replay(llama, pairs.tail(1)(torch.arange(len(pairs))), {mlp_output(1): change}).logits
        effects.append(pairs.ld_clean.mean() - float(logit_difference(logits, pairs.answer, pairs.foil).mean()))
    assert rows["effect"].tolist() == pytest.approx([*effects, np.mean(effects)], abs=1e-4)
    # Both others' effects are the same for every pair, so every draw of cases has the same ratio to the effect.
    assert rows.loc["pooled", "share_of_real"] == pytest.approx(np.mean(effects) / 2, abs=1e-4)
    assert rows.loc["pooled", "share_of_residual"] == pytest.approx(np.mean(effects) / 4, abs=1e-4)
    # Two random MLPs say nothing of what others would do; each by itself has its cases.
    width = rows["effect_hi"] - rows["effect_lo"]
    assert (width.loc[[0, 1]] > 0).all()
    assert np.isnan(width["pooled"])


def test_the_interval_of_the_mean_is_over_random_mlps_too(llama: Model):
    """The single values of a table that was published: with the MLPs held fixed the interval left out most of them."""
    pairs = some_pairs(llama, [HIDDEN, mlp_input(1)], 1)
    stand = train_random_mlps(
        "x", HIDDEN, pairs, rank=1, draws=5, seed=0, settings=dict(steps=2, batch=4, lr=0.05, loss="cross_entropy")
    )
    real = pd.DataFrame(dict(trained=pairs.ld_clean - 2.0, residual=pairs.ld_clean - 4.0))
    rows = random_mlp("x", stand, pairs, real, seed=0, resamples=200, batch=5).set_index("draw")
    pooled, single = rows.loc["pooled"], rows.drop("pooled")["share_of_real"]
    width = pooled["share_of_real_hi"] - pooled["share_of_real_lo"]
    assert pooled["share_of_real_lo"] <= pooled["share_of_real"] <= pooled["share_of_real_hi"]
    assert width > 2 * single.std() / 5**0.5


# The section and the picture


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def effects() -> pd.DataFrame:
    about = [("mlp8", TRAINED, "pooled", 3.0), ("mlp8", TRAINED, "0", 9.0), ("mlp8", "random", "pooled", 0.0),
             ("mlp9", TRAINED, "pooled", 1.0)]  # fmt: skip
    rows = [dict(component=c, subspace=s, seed=seed) | measured(effect=e) for c, s, seed, e in about]
    return pd.DataFrame(rows)


def draws(**effects: float) -> pd.DataFrame:
    return pd.DataFrame(
        [
            dict(draw=draw.removeprefix("draw"))
            | measured(effect=effect, share_of_real=effect / 3, share_of_residual=effect / 6)
            for draw, effect in effects.items()
        ]
    )


@pytest.mark.filterwarnings("error")
def test_random_mlps_beside_the_real_one():
    figure = drawn(random_mlp_figure(draws(draw0=4.0, draw1=5.0, pooled=4.5), measured(effect=3.0), "mlp8"))
    (axis,) = figure.axes
    assert shown(axis) == [
        "real MLP (mlp8)", "trained subspace", "random MLPs", "mean of the draws", "draw 0", "draw 1"
    ]  # fmt: skip
    assert points(axis, BLUE) == [(3.0, 1.0)]
    assert points(axis, ORANGE) == [(4.5, 3.0)]
    assert sorted(points(axis)) == [(3.0, 1.0), (4.0, 4.0), (4.5, 3.0), (5.0, 5.0)]
    assert len(intervals(axis)) == 4
    assert "logit difference lost" in axis.get_xlabel()


@pytest.mark.filterwarnings("error")
def test_one_random_mlp_without_intervals():
    table = draws(pooled=4.5).assign(effect_lo=np.nan, effect_hi=np.nan)
    figure = drawn(random_mlp_figure(table, measured(0, effect=3.0), "mlp8"))
    assert intervals(figure.axes[0]) == []
    assert len(points(figure.axes[0])) == 2


def test_the_section_shows_the_single_draws(tmp_path):
    write_table(tmp_path / "random_mlp/mlp8.csv", draws(draw0=4.0, draw1=5.0, pooled=4.5))
    write_table(tmp_path / "effects.csv", effects())
    (found,) = section(Results("m", ["mlp8"], "r", "mlp8", dict(random_mlp=["mlp8"]), folder=tmp_path, data=tmp_path))
    assert [row[0] for row in found.grids[0].rows] == ["0", "1", "mean of the draws"]
    assert "on average random MLPs reach 1.50 [1.40, 1.60] of the real one's effect." in found.answer
    assert [picture.name for picture in found.pictures] == ["random_mlp__mlp8"]
    few = draws(draw0=4.0, draw1=5.0, pooled=4.5).assign(share_of_real_lo=np.nan, share_of_real_hi=np.nan)
    write_table(tmp_path / "random_mlp/mlp8.csv", few)
    (found,) = section(Results("m", ["mlp8"], "r", "mlp8", dict(random_mlp=["mlp8"]), folder=tmp_path, data=tmp_path))
    assert "on average random MLPs reach 1.50 of the real one's effect." in found.answer
