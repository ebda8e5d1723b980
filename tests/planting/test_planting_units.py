"""Units of the planted study: the same table whatever else their process did before, and for whom it recorded."""

from pathlib import Path

import pandas as pd
import pytest

import tiny
from subspace_illusion.planting.units import look_at, plant_block

IOI = Path(__file__).parents[2] / "data/ioi"
PLAN = dict(
    doses=[(0.0, 0.0), (1.0, 0.0)],
    seeds=[0],
    arbitrary=[],
    off_route=[],
    settings=dict(steps=2, batch=4, lr=0.02, loss="cross_entropy", matmul_dtype="float32"),
    batch=8,
    resamples=100,
    tolerance=1e-5,
    seed=0,
)


@pytest.fixture
def pairs(tmp_path) -> dict:
    tiny.write_folder(tmp_path / "model")
    return dict(
        model=str(tmp_path / "model"), path=str(IOI), task="ioi", train_cases=12, test_cases=12, test_share=0.5,
        same_value=True, seed=0,
    )  # fmt: skip


def test_who_else_records_changes_nothing(pairs):
    alone = plant_block(pairs=pairs, plan=PLAN, block=2, kinds=["MLP"])
    hook = "blocks.1.mlp.hook_post"
    natural = look_at(pairs=pairs, plan=PLAN, hook=hook)
    shared = dict(blocks=[1, 2], natural=[hook])
    assert len(plant_block(pairs=pairs, plan=PLAN, block=1, kinds=["random MLP"], recorded=shared))
    among = plant_block(pairs=pairs, plan=PLAN, block=2, kinds=["MLP"], recorded=shared)
    pd.testing.assert_frame_equal(alone, among, check_exact=True)
    also = look_at(pairs=pairs, plan=PLAN, hook=hook, recorded=shared)
    pd.testing.assert_frame_equal(natural, also, check_exact=True)


def test_another_model_in_the_same_folder_is_opened(pairs):
    hook = "blocks.1.mlp.hook_post"
    before = look_at(pairs=pairs, plan=PLAN, hook=hook)
    tiny.write_folder(Path(pairs["model"]), seed=1)
    assert not before.equals(look_at(pairs=pairs, plan=PLAN, hook=hook))
