"""Where subspaces are kept: what is written is read again, whatever it is of."""

import tempfile
from pathlib import Path

import torch
from hypothesis import given
from hypothesis import strategies as st

from subspace_illusion.subspace.keys import METHODS, PARTS, SubspaceKey, is_label
from subspace_illusion.subspace.stored import read_subspaces, write_subspaces

LABELS = st.from_regex(r"[A-Za-z][\w -]*", fullmatch=True).filter(is_label)
KEYS = st.builds(
    lambda named, part, seed, axis, component: SubspaceKey(named[0], part, seed, axis, named[1], component),
    st.tuples(st.sampled_from(METHODS), st.just(False)) | st.tuples(LABELS, st.just(True)),
    st.sampled_from(PARTS),
    st.none() | st.integers(0),
    st.none() | st.integers(1, 100),
    st.from_regex(r"[A-Za-z0-9_.@]*", fullmatch=True),
)


@given(st.lists(KEYS, unique=True))
def test_every_key_is_read_as_what_it_was_written_for(keys):
    with tempfile.TemporaryDirectory() as folder:
        write_subspaces(Path(folder), {key: torch.full((2, 1), number) for number, key in enumerate(keys)})
        again = read_subspaces(Path(folder))
    assert {key: int(basis[0, 0]) for key, basis in again.items()} == {key: n for n, key in enumerate(keys)}
