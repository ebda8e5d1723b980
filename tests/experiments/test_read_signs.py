"""Reading signs from MLPs (E10), and how the report tells of it."""

import pandas as pd
import pytest
import torch
from test_recover_directions import noise, text_of

from subspace_illusion.experiments.read_signs import displaced, read_signs, silent_solver, tell_signs, written
from subspace_illusion.files import write_table
from subspace_illusion.report.results import Results
from subspace_illusion.report.sections.read_signs import section


def test_signs_are_written_in_units_of_the_mean_norm():
    residual, v, signs = noise(50, 8), noise(8, seed=1), torch.tensor([1.0, -1.0]).repeat(25)
    change = displaced(residual, v / v.norm(), signs, 0.5) - residual
    torch.testing.assert_close(change @ (v / v.norm()), 0.5 * residual.norm(dim=1).mean() * signs)


def test_another_size_or_direction_changes_no_other():
    residual = noise(40, 8)
    (one,) = written(residual, 3, [1.0], 1, 0)
    every = {(about["z"], about["direction"]): rest for about, *rest in written(residual, 3, [0.1, 1.0], 2, 0)}
    assert len(every) == 4
    assert all(torch.equal(a, b) for a, b in zip(every[1.0, 0], one[1:], strict=True))


def test_large_signs_are_read_and_absent_ones_are_not(model):
    text = text_of(model, sequences=10, each=60)
    found = read_signs(model, text, z=[0.0, 2.0], directions=1, inverse_penalty=1e4, seed=0)
    assert list(found.columns) == ["block", "z", "direction", "accuracy", "converged"]
    by_z = found.groupby("z")["accuracy"].mean()
    assert abs(by_z[0.0] - 0.5) < 0.12  # 120 rows held out at each of four blocks
    assert by_z[2.0] > 0.95
    assert found.loc[found["z"] == 2.0, "converged"].all()


def test_accuracy_is_that_of_the_held_out_rows_alone():
    signs = noise(200, seed=1).sign()
    hidden = noise(200, 30) + 5 * signs[:, None] * (torch.arange(200) < 150)[:, None]
    right, _ = tell_signs(hidden, signs, torch.arange(200) < 150, 1e4)
    assert len(right) == 50  # what was learnt of the first rows says nothing about these
    assert 0.2 < right.double().mean() < 0.8


def test_a_solver_that_stops_early_says_so_in_the_table_alone(monkeypatch, recwarn):
    monkeypatch.setattr("subspace_illusion.experiments.read_signs.MOST_ITERATIONS", 1)
    with silent_solver():
        assert not tell_signs(noise(200, 30), noise(200, seed=1).sign(), torch.arange(200) < 160, 1e4)[1]
    assert not recwarn.list


@pytest.mark.parametrize("converged", [True, False])
def test_the_section_has_a_row_for_each_size(tmp_path, converged):
    signs = pd.DataFrame(dict(block=[0, 1] * 6, z=sorted([1e-4, 1e-3, 1e-2, 0.1, 1.0, 2.0] * 2), direction=0))
    signs = signs.assign(accuracy=[0.5, 0.6] * 6, converged=[converged] + [True] * 11)
    write_table(tmp_path / "text/read_signs/real.csv", signs)
    write_table(tmp_path / "text/read_signs/sampled.csv", signs[signs["z"] > 0.01].assign(accuracy=0.9))
    asked = dict(read_signs=["real", "sampled"])
    (shown,) = section(Results("m", ["a"], "a", None, asked, folder=tmp_path, data=tmp_path))
    assert shown.grids[0].rows[0] == ["0.0001", "0.55 (0.50 to 0.60)", ""]
    assert shown.grids[0].rows[3] == ["0.1", "0.55 (0.50 to 0.60)", "0.90 (0.90 to 0.90)"]
    assert len(shown.grids[0].rows) == 6
    assert ("1 of 18 regressions stopped early" in shown.reading) != converged
    (picture,) = shown.pictures
    assert picture.name == "read_signs"
    picture.figure.canvas.draw()
