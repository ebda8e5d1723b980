import dataclasses

import numpy as np
import pytest
import torch

from some_pairs import some_pairs
from subspace_illusion.core.attribution import attention_sites
from subspace_illusion.core.sites import Site, residual_after
from subspace_illusion.errors import InputError
from subspace_illusion.measures.find_readers import (
    MINOR,
    MOVER,
    NEGATIVE,
    OTHER,
    READER,
    Response,
    Rule,
    first_reached,
    heads_reached,
    listed,
    name_of,
    reader_table,
    respond,
)
from subspace_illusion.statistics import Bootstrap
from subspace_illusion.tasks.table import DIFFERENT

RULE = Rule(share=0.1, minor_share=0.01, mover_share=0.2)
HEADS = [Site(2, "attn.hook_z", head) for head in range(4)]


def test_the_rule():
    classes = [RULE.classed(share) for share in (0.1, 0.099, 0.01, 0.009, -0.009, -0.01, -0.1)]
    assert classes == [READER, MINOR, MINOR, OTHER, OTHER, MINOR, READER]
    roles = [RULE.role(share) for share in (0.2, 0.19, -0.19, -0.2)]
    assert roles == [MOVER, OTHER, OTHER, NEGATIVE]
    assert "reader from 10% on in either direction, minor reader from 1% on" in str(RULE)
    assert "mover from 20% on" in str(RULE)


def found(clean: list[float], patched: list[float]):
    """Three pairs with LD 4 that the patch takes to -1; every head does the same in each."""
    response = Response(torch.tensor([clean] * 3), torch.tensor([patched] * 3), np.full(3, -1.0))
    return reader_table(HEADS, response, np.full(3, 4.0), Bootstrap.of(range(3), 10, 0), RULE)


def test_readers_are_heads_that_respond_not_heads_that_write_most():
    """Head 0 writes most and hardly responds; 1 moves names and reads; 2 is a negative mover and reads."""
    table = found([3.0, 1.0, -1.0, 0.0], [2.99, -1.0, 0.5, 0.0]).set_index("head")
    assert table.index.tolist() == ["2.1", "2.2", "2.0", "2.3"]  # the largest response first
    assert table["reader"].to_dict() == {"2.1": READER, "2.2": READER, "2.0": OTHER, "2.3": OTHER}
    assert table["role"].to_dict() == {"2.1": MOVER, "2.2": NEGATIVE, "2.0": MOVER, "2.3": OTHER}
    assert table["response"].tolist() == pytest.approx([2, -1.5, 0.01, 0], abs=1e-6)
    assert table["share"].tolist() == pytest.approx([0.4, -0.3, 0.002, 0], abs=1e-6)
    assert listed(table.reset_index(), "reader", READER) == ["2.1", "2.2"]


def test_a_head_that_the_patch_does_not_change_does_not_respond(llama):
    """With sources that are their own base prompts nothing changes; with others the patched run differs."""
    site = residual_after(1)
    pairs = some_pairs(llama, [site, *attention_sites(llama, 2)], 2, kinds=[DIFFERENT])
    moved = respond(pairs, site, 3)
    assert moved.clean.shape == moved.patched.shape == (len(pairs), 8)
    assert (moved.clean - moved.patched).abs().max() > 1e-2
    same = dataclasses.replace(pairs, table=pairs.table.assign(source=pairs.table["base"]))
    still = respond(same, site, 3)
    torch.testing.assert_close(still.clean, still.patched, atol=1e-5, rtol=0)
    np.testing.assert_allclose(still.ld_patched, pairs.ld_clean, atol=1e-4)


def test_heads_that_a_change_reaches():
    assert first_reached(residual_after(1)) == 2
    # What a block's MLP holds cannot reach the heads of its own block.
    assert first_reached(Site(1, "mlp.hook_post")) == 2
    assert [name_of(head) for head in heads_reached(3, 2, Site(1, "mlp.hook_post"))] == ["2.0", "2.1"]
    with pytest.raises(InputError, match="no attention runs after"):
        heads_reached(3, 2, residual_after(2))
