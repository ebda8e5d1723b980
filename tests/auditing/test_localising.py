"""What is said of where a variable lives."""

import pandas as pd
import pytest

from subspace_illusion.auditing.localising import Localised
from subspace_illusion.measures.localise import RESIDUAL, Window
from subspace_illusion.tasks.as_read import AsRead, FirstRow


@pytest.mark.parametrize(("low", "carried"), [(0.4, True), (0.05, False)])
def test_hooks_are_suggested_only_where_the_residual_stream_carries_something(low, carried):
    streams = pd.DataFrame([dict(kind=RESIDUAL, fldd=0.5, fldd_lo=low, fldd_hi=0.6)])
    tokens = pd.DataFrame([dict(block=2, tokens="position", fldd=0.5)])
    said = str(Localised(streams, tokens, Window(1, 3, [2]), 24, AsRead(None, FirstRow(["a"], 0, "b", "c"), [])))
    assert ("Worth an audit: --hook blocks.1.hook_resid_post --hook blocks.2.mlp.hook_post" in said) == carried
    assert ("nowhere by 0.1 of the clean one" in said) != carried
