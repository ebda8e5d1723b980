import pandas as pd
import pytest
from tokenizers import Tokenizer as Inner
from tokenizers import decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from subspace_illusion.core.tokenizer import Tokenizer
from subspace_illusion.errors import InputError
from subspace_illusion.tasks.token_ids import IDS, in_words


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    """GPT-2's kind, with bytes and a few words."""
    inner = Inner(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    inner.train_from_iterator(["Is it so"] * 3, trainers.BpeTrainer(vocab_size=300, initial_alphabet=alphabet))
    return Tokenizer(PreTrainedTokenizerFast(tokenizer_object=inner))


def raw(answer: int, foil: int) -> pd.DataFrame:
    texts = dict(base="Is it", source="Is so", base_answer="token 1", source_answer="token 2")
    return pd.DataFrame([texts | {IDS["base_answer"]: answer, IDS["source_answer"]: foil}] * 2, index=[0, 0])


def test_ids_become_the_texts_that_are_these_tokens(tokenizer):
    it, so = (tokenizer.hf.convert_tokens_to_ids(token) for token in ("\u0120it", "\u0120so"))
    found = in_words(raw(it, so), tokenizer, "mine")
    assert found[["base_answer", "source_answer"]].to_numpy().tolist() == [[" it", " so"]] * 2
    assert not {*IDS.values()} & {*found.columns}
    letter = tokenizer.hf.convert_tokens_to_ids("s")
    assert in_words(raw(letter, so), tokenizer, "mine")["base_answer"].tolist() == ["s", "s"]
    words = found.assign(base_answer="yes")
    assert in_words(words, tokenizer, "mine") is words


def test_ids_of_another_tokenizer(tokenizer):
    so = tokenizer.hf.convert_tokens_to_ids("\u0120so")
    with pytest.raises(InputError, match="mine, row 1: the tokenizer has no token 50000; is the table made for"):
        in_words(raw(so, 50_000), tokenizer, "mine")
    half = tokenizer.hf.convert_tokens_to_ids("\u00e9")
    with pytest.raises(InputError, match=f"row 1: token {half} is .*, which is not read as that token behind"):
        in_words(raw(so, half), tokenizer, "mine")
