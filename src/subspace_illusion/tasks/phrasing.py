"""How prompts are put to a model: what stands before them, chat templates, and markers that no user means."""

import re
from dataclasses import dataclass

from subspace_illusion.core.tokenizer import Tokenizer
from subspace_illusion.errors import InputError
from subspace_illusion.tasks.answers import Join
from subspace_illusion.tasks.quoting import quoted

_BAR = r"[|\N{FULLWIDTH VERTICAL LINE}]"
_MARKER = re.compile(
    rf"<{_BAR}[^<>\s]{{1,40}}>|<[^<>\s]{{1,40}}{_BAR}>|</?s>|<</?SYS>>|<\[[^<>\s]{{1,40}}\]>"
    r"|</?(?i:bos|eos|bop|eop|sop|sot|eot|eod|pad|unk|sep|cls|g?mask)>|<(?:BOS|EOS|EOP|PAD|UNK|SEP|CLS|MASK)_TOKEN>"
    r"|<(?:start|end|begin|beginning)_of_[a-z_]{1,20}>|<(?:extra_id|reserved|unused|SPECIAL)_?\d+>"
    r"|<fim_(?:prefix|middle|suffix|pad)>|<(?:file_sep|repo_name|reponame|gh_stars|empty_output)>"
    r"|<issue_(?:start|comment|closed)>|<jupyter_(?:start|text|code|output)>|<commit_(?:before|msg|after)>"
    r"|\[(?:CLS|SEP|PAD|UNK|BOS|EOS|[gs]?MASK|SUFFIX|MIDDLE|IMG_BREAK|IMG_END)\]"
    r"|\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|CALL_ID|MODEL_SETTINGS)\]"
)
"""What tokenizers' special tokens, and the marks of chat templates, look like."""
_SPACE, _SPACE_OF_BYTES = "\N{LOWER ONE EIGHTH BLOCK}", "\N{LATIN CAPITAL LETTER G WITH DOT ABOVE}"
"""What vocabularies have for a space before a token; the latter is a letter too."""


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
        dropped: Whether they began with a BOS, which is left out where one stands before already, or none is to.
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
    own = _without_bos(text, tokenizer)
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
    bare = _without_bos(whole, tokenizer)
    start -= len(whole) - len(bare)
    return Phrased(bare, start, start + len(own), dropped)


def _without_bos(text: str, tokenizer: Tokenizer) -> str:
    """A text without the BOS that it begins with, if one stands before it already or none is to; not where what some
    tokenizer calls its BOS begins every turn of a chat."""
    marker = tokenizer.hf.bos_token if tokenizer.bos == "no" else tokenizer.marker
    bare = text
    while marker and bare.startswith(marker):
        bare = bare.removeprefix(marker)
    return text if tokenizer.marker is None and marker and marker in bare else bare


def check_open_end(tokenizer: Tokenizer) -> None:
    """Makes sure that a tokenizer puts no token of its own behind a text, where the model is to go on.

    Raises:
        InputError: If it does.
    """
    last = tokenizer.encode("a")[-1:]
    if last in ([tokenizer.hf.eos_token_id], [tokenizer.hf.sep_token_id]):
        raise InputError(
            f"this model's tokenizer puts {tokenizer.text(last)} behind every text, and no answer can follow that: set "
            "add_eos_token to false in tokenizer_config.json, or take it out of the post_processor in tokenizer.json"
        )


def check_spelling(what: str, text: str, tokenizer: Tokenizer) -> None:
    """Makes sure that an answer is a text, and not what a vocabulary calls a token that begins with a space.

    Args:
        what: What messages call it.
        text: The answer.
        tokenizer: The model's.

    Raises:
        InputError: If it is such a name.
    """
    if text.startswith(_SPACE) or (text.startswith(_SPACE_OF_BYTES) and text in tokenizer.hf.get_vocab()):
        raise InputError(
            f"{what} is {quoted(text)}, as a vocabulary writes a token that begins with a space; give it as text, "
            f"{quoted(f' {text[1:]}')}"
        )


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
