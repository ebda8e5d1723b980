"""What a model's configuration says of the sequences that it takes."""

import pytest
from transformers import GPT2Config, MptConfig, T5Config

from subspace_illusion.core.tokenizer import Limits


@pytest.mark.parametrize(
    ("config", "positions"),
    [
        (GPT2Config(n_positions=64), 64),
        (MptConfig(max_seq_len=64), 64),
        (T5Config(), None),
    ],
)
def test_the_longest_sequence_by_whatever_name(config, positions):
    assert Limits.told(config).positions == positions
