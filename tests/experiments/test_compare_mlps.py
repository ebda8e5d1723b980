"""Random MLPs of several kinds on the same residual stream, and padded text with near duplicates."""

import pandas as pd
import pytest
import torch
from test_recover_directions import noise, text_of

from subspace_illusion.core.mlps import pre_activations, through_norm
from subspace_illusion.experiments.compare_mlps import (
    ALL_ROWS,
    DUPLICATE,
    GATED,
    GELU,
    OWN_MLP,
    READ,
    RECOVERED,
    SINGLE,
    DrawnMlp,
    compare_duplicates,
    compare_mlps,
    near_duplicates,
    padded,
    spread_blocks,
)
from subspace_illusion.files import write_table
from subspace_illusion.report.results import Results
from subspace_illusion.report.sections.compare_mlps import section


def test_blocks_are_spread_evenly():
    assert spread_blocks(30, 3) == [5, 15, 25]
    assert spread_blocks(12, 1) == [6]
    assert spread_blocks(4, 9) == [0, 1, 2, 3]


def test_what_a_random_mlp_computes_has_the_spread_asked_for():
    normed, spread = noise(2000, 32), {"gate": 0.7, "in": 0.2}
    gated = DrawnMlp.draw(normed, 64, spread, True, 0)
    assert gated.bias is None
    assert (normed @ gated.inner).std() == pytest.approx(0.7, rel=1e-3)
    assert (normed @ gated.up).std() == pytest.approx(0.2, rel=1e-3)
    gate = normed @ gated.inner
    torch.testing.assert_close(gated.hidden(normed), gate * gate.sigmoid() * (normed @ gated.up))
    plain = DrawnMlp.draw(normed, 512, spread, False, 0)
    assert plain.up is None
    sums = normed @ plain.inner + plain.bias
    assert sums.std() == pytest.approx(0.7, rel=0.05)
    assert plain.bias.std() == pytest.approx(0.5**0.5 * 0.7, rel=0.1)
    torch.testing.assert_close(plain.hidden(normed), torch.nn.functional.gelu(sums, approximate="tanh"))


def test_pre_activations_are_those_of_the_mlp(model):
    normed = through_norm(model, 1, noise(9, 32))
    found = pre_activations(model, 1, normed)
    assert ("gate" in found) == hasattr(model.bridge.blocks[1].mlp, "gate")
    assert all(
        values.shape == (9, 64 if "gate" in found or values.shape[1] == 64 else 128) for values in found.values()
    )


def test_every_kind_is_measured_the_same_method(model):
    text, seen = text_of(model), []
    found = compare_mlps(
        model, text, [1, 3], directions=1, alphas=[0.01, 1.0], z=[0.1, 2.0], inverse_penalty=1e4, seed=0,
        on_mlp=lambda: seen.append(None),
    )  # fmt: skip
    kinds = found[["mlp", "width"]].drop_duplicates().values.tolist()
    width = kinds[0][1]
    assert kinds[0][0] == OWN_MLP
    assert kinds[1:] == [[GELU, 128], *([[GELU, width]] if width != 128 else []), [GATED, width]]
    assert len(seen) == 2 * len(kinds)
    assert len(found) == len(seen) * 3
    assert found.loc[found["measure"] == RECOVERED, "z"].isna().all()
    assert found.loc[(found["measure"] == READ) & (found["z"] == 2.0), "value"].min() > 0.9


def test_sequences_begin_alike_and_are_filled_up_on_the_right():
    tokens = torch.randint(5, 50, (40, 16), generator=torch.Generator().manual_seed(0))
    tokens[0, 0] = 1
    found = padded(tokens, 1, 2, 0)
    assert found.shape == (40, 16)
    assert (found[:, 0] == 1).all()
    lengths = (found != 2).sum(1)
    assert lengths.min() >= 4
    assert len(set(lengths.tolist())) > 5
    for before, after, length in zip(tokens, found, lengths, strict=True):
        kept = before[:length] if before[0] == 1 else before[: length - 1]
        assert torch.equal(after[length - len(kept) : length], kept)
        assert (after[length:] == 2).all()


def test_near_duplicates_are_within_a_tenth_of_the_norm():
    others = torch.tensor([[10.0, 0.0], [0.0, 10.0]])
    rows = torch.tensor([[10.0, 0.0], [10.0, 0.9], [10.0, 1.1], [0.5, 0.5]])
    assert near_duplicates(rows, others).tolist() == [True, True, False, False]


def test_rows_of_padded_text_are_told_apart(model):
    text = text_of(model, sequences=8, each=25)
    found = compare_duplicates(model, text, [1], directions=1, z=[0.1, 2.0], inverse_penalty=1e4, seed=0)
    assert list(found.columns) == ["block", "z", "rows", "held_out", "accuracy"]
    counts = found[found["z"] == 2.0].set_index("rows")["held_out"]
    assert counts[ALL_ROWS] == 50
    assert counts[DUPLICATE] + counts[SINGLE] == 50
    assert counts[DUPLICATE] >= 1  # all texts begin with the same token


def shown(folder, gelu: float, near: tuple[float, float], held_out: int):
    kinds = [(OWN_MLP, 64, 0.4), (GELU, 128, gelu + 0.05), (GELU, 64, gelu), (GATED, 64, 0.45)]
    about = [dict(mlp=mlp, width=width, block=block, r2=r2) for mlp, width, r2 in kinds for block in (0, 2)]
    rows = [row | dict(measure=RECOVERED, value=row["r2"]) for row in about]
    rows += [row | dict(measure=READ, z=z, value=0.6) for row in about for z in (0.01, 0.1)]
    write_table(folder / "text/compare_mlps.csv", pd.DataFrame(rows).drop(columns="r2"))
    duplicates = [
        dict(block=block, z=z, rows=kind, held_out=count, accuracy=accuracy)
        for block in (0, 2)
        for z, accurate in ((0.01, near[0]), (0.1, near[1]))
        for kind, count, accuracy in (
            (ALL_ROWS, 10, 0.6), (DUPLICATE, held_out, accurate if held_out else None), (SINGLE, 10 - held_out, 0.5)
        )
    ]  # fmt: skip
    write_table(folder / "text/compare_mlps_duplicates.csv", pd.DataFrame(duplicates))
    ranks = pd.DataFrame(dict(block=[0, 1], possible=32, rank_W_in=32, effective_rank_W_in=29.0))
    ranks = ranks.assign(rank_W_out=[32, 31], effective_rank_W_out=28.0)
    write_table(folder / "text/compare_mlps_ranks.csv", ranks)
    (found,) = section(Results("m", ["a"], "a", None, dict(compare_mlps=["m"]), folder=folder, data=folder))
    return found


def test_the_section_says_what_its_tables_show(tmp_path):
    found = shown(tmp_path, 0.8, (0.9, 0.55), 4)
    assert "a difference of 0.35" in found.reading
    assert "128 neurons instead of 64 change that of the GELU MLPs by 0.05" in found.reading
    assert "makes half of that or more" in found.reading
    assert "share of rows with a near duplicate is 0.40" in found.reading
    assert "at z = 0.01, with an accuracy of 0.90 for those with a near duplicate and 0.50" in found.reading
    (picture,) = found.pictures
    picture.figure.canvas.draw()
    labels = [text.get_text() for text in picture.figure.axes[0].get_legend().get_texts()]
    assert labels == ["W_in, by entropy", "W_out, by entropy", "counted, the lowest of them"]
    kinds, rows = found.grids
    assert kinds.rows[0] == [OWN_MLP, "64", "0.40 (0.40 to 0.40)", "0.60 (0.60 to 0.60)", "0.60 (0.60 to 0.60)"]
    assert rows.rows[1][:3] == [DUPLICATE, "0.40", "0.90 (0.90 to 0.90)"]


def test_the_section_says_so_where_neither_is_the_reason(tmp_path):
    found = shown(tmp_path, 0.5, (0.9, 0.55), 0)
    assert "does not make half" in found.reading
    assert "nothing to compare" in found.reading
    assert found.grids[1].rows[1][2] == ""
