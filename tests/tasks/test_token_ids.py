import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer as Inner
from tokenizers import decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from made_tokenizers import TEMPLATE, all_kinds, bpe
from subspace_illusion.auditing.given_pairs import given_pairs
from subspace_illusion.auditing.settings import Reading
from subspace_illusion.core.tokenizer import Tokenizer
from subspace_illusion.tasks.following import joined
from subspace_illusion.tasks.phrasing import PLAIN
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


def number(tokenizer: Tokenizer, text: str) -> int:
    return tokenizer.hf.convert_tokens_to_ids(text.replace(" ", "\u0120"))


def test_ids_become_the_texts_that_are_these_tokens(tokenizer):
    found, wrong = in_words(raw(number(tokenizer, " it"), number(tokenizer, " so")), tokenizer, PLAIN)
    assert wrong == {}
    assert found[["base_answer", "source_answer"]].to_numpy().tolist() == [[" it", " so"]] * 2
    assert not {*IDS.values()} & {*found.columns}
    letter, _ = in_words(raw(number(tokenizer, "s"), number(tokenizer, " so")), tokenizer, PLAIN)
    assert letter["base_answer"].tolist() == ["s", "s"]
    words = found.assign(base_answer="yes")
    assert in_words(words, tokenizer, PLAIN)[0].equals(words)


def test_ids_of_another_tokenizer_are_all_said(tokenizer):
    so, half = number(tokenizer, " so"), number(tokenizer, "\u00e9")
    them = pd.concat([raw(so, 50_000)[:1], raw(so, half)[:1], raw(so, number(tokenizer, " it"))[:1]])
    found, wrong = in_words(them.set_axis([0, 1, 2]), tokenizer, PLAIN)
    assert found.index.tolist() == [2]
    assert wrong[0] == ": the tokenizer has no token 50000; is the table made for another model?"
    assert wrong[1].startswith(f": token {half} is ")
    assert "which is not read as that token behind" in wrong[1]


@given(st.integers(0, 60_000), st.sampled_from(["The capital of France is", "2 + 2 =", "Is it", "A:"]), st.data())
@settings(max_examples=60)
def test_an_id_is_read_as_that_token_or_refused(token, prompt, data):
    """With every tokenizer."""
    tokenizer = data.draw(st.sampled_from(all_kinds()))
    other = len(tokenizer.encode("")) + 300
    table = pd.DataFrame([dict(base=prompt, source=f"So {prompt}", base_answer="x", source_answer="y")]).assign(
        base_answer_id=token, source_answer_id=other
    )
    found, wrong = in_words(table, tokenizer, PLAIN)
    assert len(found) + len(wrong) == 1
    for answer in found["base_answer"]:
        assert tokenizer.encode(joined(prompt, answer, direct=True)) == [*tokenizer.encode(prompt), token]


def test_an_id_is_the_same_token_in_a_chat():
    """The space that it begins with is kept, where that of a text goes behind a new line."""
    tokenizer = bpe(False, TEMPLATE)
    is_, paris = (tokenizer.hf(text).input_ids[0] for text in (" is", " Paris"))
    pairs = [(f"The capital of {one}", f"The capital of {other}") for one, other in zip("abc", "def", strict=True)]
    rows = [dict(clean=one, corrupted=other, correct_idx=is_, incorrect_idx=paris) for one, other in pairs]
    how = Reading(chat=True)
    found, _ = given_pairs(rows, how).read(tokenizer, how, 0.5)
    assert found.pairs[["answer_id", "foil_id"]].to_numpy().tolist() == [[is_, paris]] * 3
