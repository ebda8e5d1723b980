"""Small tokenizers of the kinds that models have, trained on a few words, and those of real models that lie here."""

from functools import cache

from tokenizers import Tokenizer as Inner
from tokenizers import decoders, normalizers, pre_tokenizers, processors, trainers
from tokenizers.models import BPE
from transformers import PreTrainedTokenizerFast

import tiny
from subspace_illusion.core.checkpoints import open_tokenizer
from subspace_illusion.core.tokenizer import Tokenizer

CAPITALS = dict(France="Paris", Spain="Madrid", Italy="Rome", Peru="Lima", Norway="Oslo", Cuba="Havana")
CITIES = ["San Marino", "San Diego", "San Diego de Cuba", "Saint Paul"]
WORDS = [*CAPITALS, *CAPITALS.values(), "The capital of", "is", *CITIES]
BOS = "<s>"
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    "User: {{ m.content | trim }}{{ '\nAnswer:\n' }}{% endfor %}"
)


@cache
def bpe(start: bool = False, template: str | None = None) -> Tokenizer:
    """GPT-2's kind of tokenizer with some hundred tokens, with or without a special token at the start."""
    inner = Inner(BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    return _trained(inner, start, template, pre_tokenizers.ByteLevel.alphabet())


@cache
def spaced(start: bool = False) -> Tokenizer:
    """Gemma's kind: spaces are a letter, and what is no token falls back to bytes."""
    inner = Inner(BPE(unk_token="<unk>", byte_fallback=True))
    inner.normalizer = normalizers.Replace(" ", "\N{LOWER ONE EIGHTH BLOCK}")
    inner.decoder = decoders.Sequence(
        [decoders.Replace("\N{LOWER ONE EIGHTH BLOCK}", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    return _trained(inner, start, None, [], *(f"<0x{byte:02X}>" for byte in range(256)))


def _trained(inner: Inner, start: bool, template: str | None, alphabet: list[str], *more: str) -> Tokenizer:
    special = [BOS, "<unk>", *more]
    trainer = trainers.BpeTrainer(
        vocab_size=400 + len(more), special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    inner.train_from_iterator([f"The {word} of {word}" for word in WORDS] * 3, trainer)
    if start:
        inner.post_processor = processors.TemplateProcessing(single=f"{BOS} $A", special_tokens=[(BOS, 0)])
    hf = PreTrainedTokenizerFast(tokenizer_object=inner, bos_token=BOS, unk_token="<unk>")
    hf.chat_template = template
    return Tokenizer(hf)


@cache
def all_kinds() -> list[Tokenizer]:
    """Those above, and those of the models in ``data/models``, if there are any."""
    folders = sorted(file.parent for file in (tiny.DATA / "models").glob("*/tokenizer.json"))
    return [bpe(), bpe(True), spaced(True), *map(open_tokenizer, folders)]
