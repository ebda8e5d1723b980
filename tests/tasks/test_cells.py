"""What cells say, whatever wrote them: the list that was written, or the text as it is."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from subspace_illusion.tasks.cells import in_python, opened

TEXTS = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1), min_size=1, max_size=5)
WRITERS = [json.dumps, repr, lambda texts: repr(tuple(texts)), lambda texts: str(np.array(texts, dtype=object))]


@given(TEXTS, st.sampled_from(WRITERS))
def test_a_list_of_texts_is_opened_however_it_was_written(texts, write):
    assert opened(write(texts)) == texts


@given(st.lists(st.dictionaries(st.sampled_from(["raw_input", "raw_output"]), st.text(max_size=9)), min_size=2))
def test_mappings_within_lists_are_opened_too(examples):
    for write in (json.dumps, repr, lambda listed: str(np.array(listed, dtype=object))):
        assert opened(write(examples)) == examples


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("['is' 'was']", ["is", "was"]),
        ("[673 339]", [673, 339]),
        ("{'label': array(['A', 'B'], dtype=object)}", {"label": ["A", "B"]}),
        ("[np.str_(' is'), np.str_(' was')]", [" is", " was"]),
        ("[list([' is']) list([' was', ' has'])]", [[" is"], [" was", " has"]]),
        ("[]", []),
    ],
)
def test_what_numpy_and_pandas_write(cell, said):
    assert opened(cell) == said


@pytest.mark.parametrize(
    "cell",
    [
        *("(A)", "[CLS] The", "[are", "[1] 'x'", "['a'], ['b']", "[print('a')]", "[1] + [2]", "{x for x in y}"),
        *("(he) said (she)", "['a' 'b' ... 'c']", "[", "('a')", 3, None),
    ],
)
def test_what_is_no_list_stays_as_it_is(cell):
    assert opened(cell) == cell


def test_arrays_become_lists_and_what_is_missing_none():
    cell = dict(choices=np.array([np.array(["a"]), np.array(["b", "c"])], dtype=object), key=np.int64(1))
    assert in_python(cell) == dict(choices=[["a"], ["b", "c"]], key=1)
    assert type(in_python(cell)["key"]) is int
    assert in_python((1, (2,))) == [1, [2]]
    assert in_python(pd.NA) is None
