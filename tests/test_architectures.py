"""Kinds of model that differ in structure: tuples, experts, norms behind, caps, factors. The whole table is made by
``python tests/architectures.py``.
"""

import pandas as pd
import pytest

import architectures
from architectures import TOLERANCE, audited, farthest, is_there, small_model
from subspace_illusion.core.model import Model
from subspace_illusion.core.sites import Site
from subspace_illusion.errors import InputError
from subspace_illusion.measures import own_readers

PLACES = ("hook_resid_mid", "hook_resid_post", "attn.hook_z", "mlp.hook_post", "hook_mlp_out")


@pytest.fixture(scope="module", params=["GPT-J", "BLOOM", "Mixtral", "OLMo-2", "Granite"])
def kind(request) -> tuple[str, Model]:
    return request.param, small_model(request.param)


def test_replays_are_full_forward_passes(kind):
    sites = [Site(1, point) for point in PLACES if is_there(kind[1], Site(1, point))]
    assert len(sites) >= 4
    assert farthest(kind[1], sites) < TOLERANCE


def test_experts_are_refused_at_once_with_the_hook_that_does(kind):
    name, model = kind
    hidden = Site(1, "mlp.hook_post")
    assert is_there(model, hidden) == (name != "Mixtral")
    if name == "Mixtral":
        with pytest.raises(InputError, match=r"mixture of experts.*take what it gives, blocks\.1\.hook_mlp_out$"):
            audited(model, hidden.point)


@pytest.fixture(scope="module")
def gemma2() -> Model:
    return small_model("Gemma-2, its cap biting")


def test_what_a_cap_bends_is_said(gemma2):
    found = audited(gemma2, "hook_resid_post", "readers", calibrate=False)
    assert found.remarks == {"blocks.1.hook_resid_post": own_readers.BENT}
    assert str(found).endswith(own_readers.BENT)
    assert found.document.remarks == found.remarks


def test_where_heads_have_no_share_the_verdict_does_without_them_and_says_so(gemma2, monkeypatch):
    monkeypatch.setattr("subspace_illusion.core.attribution.norm_at_end", lambda bridge: None)
    found = audited(gemma2, "hook_resid_post", calibrate=False)
    assert "readers" not in found.tables
    assert list(found.remarks.values()) == ["readers are left out: no norm stands behind the last block"]
    assert found.verdicts


def test_the_table_has_every_kind_and_no_traceback():
    table = pd.read_csv(architectures.TABLE, keep_default_na=False)
    assert table["architecture"].tolist() == list(architectures.KINDS)
    assert len(table) >= 25
    assert set(table["works"]) <= {"yes", "in part", "no"}
    assert not table["why"].str.contains("TRACEBACK|\n").any()
    assert (table["works"] == "yes").sum() >= 25
    assert (table.loc[table["works"] != "yes", "why"] != "").all()
