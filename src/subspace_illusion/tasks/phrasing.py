"""How prompts are put to a model: what stands before them, chat templates, and markers that no user means."""

import re
from dataclasses import dataclass

from subspace_illusion.core.tokenizer import Tokenizer
from subspace_illusion.errors import InputError
from subspace_illusion.tasks.answers import Join
from subspace_illusion.tasks.quoting import quoted

_MARKER = re.compile(
    r"<[|\N{FULLWIDTH VERTICAL LINE}][^<>\s]{1,40}?[|\N{FULLWIDTH VERTICAL LINE}]>"
    r"|</?s>|</?(?i:bos|eos|pad|unk|sep|cls|mask|eod|eot)>|<(?:start|end)_of_(?:turn|text|image)>|<extra_id_\d+>"
    r"|\[(?:CLS|SEP|PAD|UNK|BOS|EOS|g?MASK)\]|\[/?INST\]|<</?SYS>>"
)
"""What tokenizers' special tokens, and the marks of chat templates, look like."""


@dataclass(frozen=True)
class Phrasing:
    """How prompts are put to a model, and answers behind them.

    Attributes:
        join: How answers follow, where the table does not say it.
        chat: Whether prompts are what a user says in the model's own chat template.
        system: What the system says there, if anything.
    """

    join: Join = "auto"
    chat: bool = False
    system: str | None = None


PLAIN = Phrasing()
"""Prompts as they are, and answers as the texts tell."""


@dataclass(frozen=True)
class Phrased:
    """A prompt as it is put to a model.

    Attributes:
        text: All of it but for the BOS that stands before every prompt.
        start: Where the user's own words begin.
        stop: Where they end.
        dropped: Whether they began with that BOS, which is left out.
    """

    text: str
    start: int
    stop: int
    dropped: bool


def phrased(side: str, text: str, phrasing: Phrasing, tokenizer: Tokenizer) -> Phrased:
    """A prompt as it is put to a model.

    Args:
        side: What messages call it: base or source.
        text: The prompt as the table has it.
        phrasing: How prompts are put.
        tokenizer: The model's.

    Raises:
        InputError: If it has a marker that this tokenizer does not know, or any in a chat, if nothing is left of it, or
            if the model has no chat template that takes it.
    """
    marker, own = tokenizer.marker, text
    while marker and own.startswith(marker):
        own = own.removeprefix(marker)
    check_markers(f"the {side}", own, tokenizer)
    dropped = own != text
    if not phrasing.chat:
        return Phrased(own, 0, len(own), dropped)
    if marked := _MARKER.search(own):
        raise InputError(
            f"the {side} has {quoted(marked[0])}, and the chat template puts its own markers round what the user says; "
            "give that alone, or leave chat out"
        )
    own = own.strip()
    whole, start = tokenizer.in_chat(own, phrasing.system)
    if marker and whole.startswith(marker):
        whole, start = whole.removeprefix(marker), start - len(marker)
    return Phrased(whole, start, start + len(own), dropped)


def check_markers(what: str, text: str, tokenizer: Tokenizer) -> None:
    """Makes sure that a text has no special token of another tokenizer.

    Args:
        what: What messages call it.
        text: The text.
        tokenizer: The model's.

    Raises:
        InputError: If it has one.
    """
    for marker in dict.fromkeys(_MARKER.findall(text)):
        if not (tokenizer.is_one_token(marker) or marker in str(tokenizer.hf.chat_template)):
            raise InputError(
                f"{what} has {quoted(marker)}, which this model's tokenizer does not know and takes apart into "
                f"{len(tokenizer.hf(marker, add_special_tokens=False).input_ids)} tokens; leave it out, or put this "
                "model's own in its place"
            )
