"""What is said of where a variable lives."""

import pandas as pd
import pytest

from subspace_illusion.auditing.localising import Localised
from subspace_illusion.measures.localise import RESIDUAL, Window
from subspace_illusion.tasks.as_read import AsRead, FirstRow


def found_at(low: float, *points: str) -> Localised:
    """The stream after block 1 carries it, and block 2 has what is at some points."""
    rows = [dict(site="blocks.1.hook_resid_post", kind=RESIDUAL, fldd=0.5, fldd_lo=low, fldd_hi=0.6)]
    rows += [dict(site=f"blocks.2.{point}", kind=point, fldd=0.0, fldd_lo=0.0, fldd_hi=0.0) for point in points]
    tokens = pd.DataFrame([dict(block=2, tokens="position", fldd=0.5)])
    as_read = AsRead(None, FirstRow(["a"], 0, "b", "c"), [])
    return Localised(pd.DataFrame(rows), tokens, Window(1, 3, [2] if points else []), 24, as_read)


@pytest.mark.parametrize(("low", "carried"), [(0.4, True), (0.05, False)])
def test_hooks_are_suggested_only_where_the_residual_stream_carries_something(low, carried):
    said = str(found_at(low, "mlp.hook_post"))
    assert ("Worth an audit: --hook blocks.1.hook_resid_post --hook blocks.2.mlp.hook_post" in said) == carried
    assert ("nowhere by 0.1 of the clean one" in said) != carried


@pytest.mark.parametrize(
    ("points", "suggested"),
    [
        (["mlp.hook_post", "hook_mlp_out"], ["blocks.2.mlp.hook_post"]),
        (["hook_mlp_out"], ["blocks.2.hook_mlp_out"]),  # experts
        ([], []),  # a recurrent block
    ],
)
def test_what_is_suggested_is_there(points, suggested):
    found = found_at(0.4, *points)
    assert [site.name for site in found.suggested] == ["blocks.1.hook_resid_post", *suggested]
    assert ("no MLP lies between" in str(found)) == (not suggested)
