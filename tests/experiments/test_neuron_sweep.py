import math

import pandas as pd
import pytest
import torch

import made
from drawing import drawn
from some_pairs import some_pairs
from subspace_illusion.core.model import Model
from subspace_illusion.core.sites import Site
from subspace_illusion.errors import InputError
from subspace_illusion.experiments.neuron_sweep import linear_fit, neuron_sweep, own_writing, random_supports
from subspace_illusion.files import write_json, write_table
from subspace_illusion.report.plots.neuron_sweep import neuron_sweep_figure
from subspace_illusion.report.plots.style import plt
from subspace_illusion.report.results import Results
from subspace_illusion.report.sections.neuron_sweep import section
from subspace_illusion.subspace.das import train_das

SITE = Site(1, "mlp.hook_post")
SWEPT = pd.DataFrame(
    dict(
        neurons=[8, 8, 64, 64], draw=[0, 1, 0, 1], share_of_residual=[0.1, 0.12, 0.5, 0.6],
        set_share_of_residual=[0.01, 0.03, -0.2, -0.2], own_written=[0.7, 0.8, 0.2, 0.3], null_lent=[0, 0, 0.7, 0.8],
    )
)  # fmt: skip


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_sets_are_nested_within_a_draw():
    runs, supports = random_supports(40, [0.1, 0.5, 1.0], 2, 1, seed=0)
    assert runs == [(4, 0), (4, 1), (20, 0), (20, 1), (40, 0), (40, 1)]
    assert supports.sum(1).tolist() == [4, 4, 20, 20, 40, 40]
    for draw in (0, 1):
        small, half, full = supports[draw::2]
        assert (small <= half).all()
        assert (half <= full).all()
    assert not torch.equal(supports[2], supports[3])


def test_sizes_that_fall_together_are_an_error():
    with pytest.raises(InputError, match="only 1 sizes"):
        random_supports(10, [0.1, 0.12], 1, 1, seed=0)


def test_the_line_by_hand():
    fit = linear_fit(pd.DataFrame(dict(neurons=[0, 100, 200], share_of_residual=[0.1, 0.3, 0.5])))
    assert fit == pytest.approx(dict(slope_per_neuron=0.002, intercept=0.1, r2=1.0, points=3), abs=1e-6)


def test_a_subspace_stays_inside_its_neurons_and_has_its_own_row(llama: Model):
    pairs = some_pairs(llama, [SITE], 1)
    runs, supports = random_supports(llama.width(SITE), [0.25, 1.0], 2, 1, seed=0)
    settings = dict(rank=1, seeds=[draw for _, draw in runs], steps=2, batch=4, lr=0.05, loss="cross_entropy")
    trained = train_das(llama, SITE, pairs.examples(SITE), support=supports, **settings)
    assert (trained.bases[..., 0][supports == 0] == 0).all()
    bases = dict(zip(runs, trained.bases, strict=True))
    sets, readout = dict(zip(runs, supports, strict=True)), llama.readout(SITE)
    about = dict(tolerance=1e-5, seed=0, resamples=100, batch=5)
    swept = neuron_sweep("x", SITE, pairs, bases, sets, readout, pairs.ld_clean - 2.0, **about)
    assert list(zip(swept["neurons"], swept["draw"], strict=True)) == runs
    outcome = pairs.patch(SITE, {0: pairs.along(SITE, bases[runs[2]])}, batch=30)[0]
    effect = pairs.ld_clean.mean() - outcome.ld.mean()
    assert swept["effect"][2] == pytest.approx(effect, abs=1e-4)
    assert swept["share_of_residual"][2] == pytest.approx(effect / 2, abs=1e-4)
    assert (swept["effect_lo"] < swept["effect_hi"]).all()
    whole = pairs.patch(SITE, {0: pairs.along(SITE, None)}, batch=30)[0]
    everything = (pairs.ld_clean.mean() - whole.ld.mean()) / 2
    assert swept["set_share_of_residual"].tolist()[2:] == pytest.approx([everything] * 2, abs=1e-4)
    assert swept["set_share_of_residual"][0] != pytest.approx(everything, abs=1e-4)
    assert {"own_written", "null_lent"} <= set(swept)


def test_what_neurons_write_themselves_by_hand():
    """Two neurons that write, one that nothing reads, one that is silent: the post's example with a fourth."""
    readout = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0], [2.0, 0.0]])
    difference = torch.tensor([[1.0, 1.0, 1.0, 0.0], [-1.0, 1.0, -1.0, 0.0], [2.0, -3.0, 2.0, 0.0]])
    everything = torch.ones(4)

    def written(vector: list[float], support: torch.Tensor = everything) -> dict[str, float]:
        basis = torch.tensor(vector)[:, None]
        return own_writing(difference, basis / basis.norm(), support, readout, 1e-5)

    # Neurons 1 and 4 write along the same, so the difference of the two is null; but what e1 writes is its own.
    assert written([1.0, 0, 0, 0]) == pytest.approx(dict(own_written=1.0, null_lent=0.8), abs=1e-6)
    # e3 + e4, a part that nothing reads and a silent one, where no neuron writes that: all of it is lent.
    alone = written([0, 0, 1.0, 1.0], torch.tensor([0.0, 1.0, 1.0, 1.0]))
    assert alone == pytest.approx(dict(own_written=0.0, null_lent=1.0), abs=1e-6)
    # e2 + e4 has no null part, and yet the silent neuron writes what the other's variation moves.
    without = written([0, 1.0, 0, 1.0], torch.tensor([0.0, 1.0, 0.0, 1.0]))
    assert without == pytest.approx(dict(own_written=0.4, null_lent=0.0), abs=1e-6)


def test_where_nothing_is_read_out_nothing_is_told():
    told = own_writing(torch.ones(2, 3), torch.eye(3)[:, :1], torch.ones(3), None, 1e-5)
    assert all(math.isnan(value) for value in told.values())


@pytest.mark.filterwarnings("error")
def test_neurons_and_the_line_through_them():
    fit = dict(slope_per_neuron=0.0079, intercept=0.05, r2=0.97, points=4)
    (axis,) = drawn(neuron_sweep_figure(SWEPT, fit, "mlp8")).axes
    assert len(axis.collections[0].get_offsets()) == 4
    assert axis.lines[0].get_ydata() == pytest.approx([0.05, 0.05 + 64 * 0.0079])
    assert "R² = 0.97" in axis.get_legend().texts[0].get_text()
    assert "mlp8" in axis.get_xlabel()
    assert axis.get_ylabel()


def test_the_section_shows_the_single_draws(tmp_path):
    write_table(tmp_path / "neuron_sweep/mlp8.csv", SWEPT)
    write_json(tmp_path / "neuron_sweep/mlp8.json", linear_fit(SWEPT))
    (found,) = section(Results("m", ["mlp8"], "r", "mlp8", dict(neuron_sweep=["mlp8"]), folder=tmp_path, data=tmp_path))
    assert found.grids[0].rows == [
        ["8", "0.110", "0.10, 0.12", "0.020", "0.000", "0.750"],
        ["64", "0.550", "0.50, 0.60", "-0.200", "0.750", "0.250"],
    ]
    assert "up to 0.11 where all of these neurons have 0.02" in made.said(found)
    assert "So a null part is not what it takes: there the neurons themselves write 0.75 to 0.75" in made.said(found)
    assert found.answer.startswith(
        "With 8 neurons the effect is 0.110 of the whole residual patch's, with 64 it is 0.550"
    )
    assert found.grids[1].rows[0][:2] == ["4", "0.97"]
    assert [picture.name for picture in found.pictures] == ["neuron_sweep__mlp8"]


def test_the_section_says_otherwise_where_the_table_does(tmp_path):
    asked = dict(neuron_sweep=["mlp8"])
    same, carried = SWEPT.assign(own_written=0.4), SWEPT.assign(set_share_of_residual=0.1)
    for name, changed in dict(same=same, carried=carried, none=SWEPT.assign(null_lent=0.5)).items():
        write_table(tmp_path / name / "neuron_sweep/mlp8.csv", changed)
        write_json(tmp_path / name / "neuron_sweep/mlp8.json", linear_fit(SWEPT))
        (found,) = section(Results("m", ["mlp8"], "r", "mlp8", asked, folder=tmp_path / name, data=tmp_path))
        assert "not what it takes" not in made.said(found)
        assert ("have no null part" in made.said(found)) == (name != "none")
