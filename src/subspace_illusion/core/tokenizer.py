"""A model's tokenizer: the questions that are put to it, and which sequences of tokens its model takes.

What may be asked of a model by name stands here too, because nothing heavy is imported.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from subspace_illusion.errors import InputError
from subspace_illusion.files import one_line

Dtype = Literal["auto", "float32", "bfloat16", "float16"]
"""What a model's weights are kept in; ``auto`` is what they are saved in."""
Bos = Literal["auto", "yes", "no"]
"""Whether a beginning-of-sequence token (BOS) stands before prompts; ``auto``: as the tokenizer itself does."""
_STANDS_FOR_TEXT = "What the user says."
"""What a chat template is filled with to see where the user's text goes."""


@dataclass(frozen=True)
class Limits:
    """Which sequences a model takes.

    Attributes:
        positions: How many tokens they may have; ``None`` where the model has no such limit.
        ids: How many rows its embedding has: token ids are below that.
    """

    positions: int | None
    ids: int

    @classmethod
    def told(cls, config: Any) -> Limits:
        """Those that a model's configuration tells."""
        text = config.get_text_config()
        longest = (getattr(text, name, None) for name in ("max_position_embeddings", "max_seq_len"))
        return cls(next((most for most in longest if most), None), int(text.vocab_size))


@dataclass(frozen=True)
class Tokenizer:
    """The questions that are put to a tokenizer.

    Attributes:
        hf: The tokenizer, one of transformers'.
        bos: Whether a BOS stands before prompts.
        limits: Which sequences its model takes, as far as that is known.
    """

    hf: Any
    bos: Bos = "auto"
    limits: Limits | None = None

    @cached_property
    def _adds_bos(self) -> bool:
        """Whether the tokenizer puts a BOS before prompts by itself."""
        return self.hf.bos_token_id is not None and list(self.hf("a").input_ids)[:1] == [self.hf.bos_token_id]

    @cached_property
    def marker(self) -> str | None:
        """The BOS that stands before every prompt, as text; ``None`` where none does.

        Raises:
            InputError: If one is asked for and the tokenizer has none.
        """
        if self.bos == "yes" and self.hf.bos_token_id is None:
            raise InputError("this tokenizer has no beginning-of-sequence token to put before prompts: set bos to auto")
        return self.hf.bos_token if self.bos == "yes" or (self._adds_bos and self.bos == "auto") else None

    def _with_marker(self, values: list[Any], marker: Any) -> list[Any]:
        """What there is for every token that the tokenizer itself gives, with BOS or without, as it is asked for."""
        own = values[1:] if self._adds_bos else values
        return own if self.marker is None else [marker, *own]

    def encode(self, text: str) -> list[int]:
        """Token ids of a prompt, with whatever special tokens are put before it."""
        return self._with_marker(list(self.hf(text).input_ids), self.hf.bos_token_id)

    def spans(self, text: str) -> list[tuple[int, int]]:
        """Where each token of ``encode(text)`` begins and ends in the text; (0, 0) for a special token.

        Raises:
            InputError: If the tokenizer cannot tell.
        """
        if not self.hf.is_fast:
            raise InputError(
                f"{type(self.hf).__name__} cannot tell where a token stands in the text: give positions as indices"
            )
        spans = self.hf(text, return_offsets_mapping=True).offset_mapping
        return self._with_marker([tuple(span) for span in spans], (0, 0))

    def check(self, what: str, ids: Sequence[int]) -> None:
        """Makes sure that the model takes a sequence of tokens, as far as its limits are known.

        Args:
            what: What messages call it.
            ids: The tokens.

        Raises:
            InputError: If not.
        """
        if self.limits is None:
            return
        if self.limits.positions is not None and len(ids) > self.limits.positions:
            raise InputError(
                f"{what} has {len(ids)} tokens, and the model has {self.limits.positions} positions; shorten it"
            )
        if beyond := [number for number in ids if number >= self.limits.ids]:
            raise InputError(
                f"{what} has the token {self.text(beyond[:1])!r} of id {beyond[0]}, and the model's embedding has "
                f"{self.limits.ids} rows; say it in other words, or take the tokenizer that belongs to the model"
            )

    def text(self, ids: Sequence[int]) -> str:
        """What tokens say."""
        return str(self.hf.decode(list(map(int, ids))))

    def is_one_token(self, text: str) -> bool:
        """Whether a text is exactly one token that the tokenizer knows."""
        ids = self.hf(text, add_special_tokens=False).input_ids
        return len(ids) == 1 and (ids[0] != self.hf.unk_token_id or text == self.hf.unk_token)

    def word_id(self, word: str) -> int | None:
        """The id of ``word`` with a space before it, or ``None`` where that is not exactly one known token."""
        return self.hf(f" {word}", add_special_tokens=False).input_ids[0] if self.is_one_token(f" {word}") else None

    def in_chat(self, text: str, system: str | None) -> tuple[str, int]:
        """What a user says in the model's own chat template, up to where the model answers, and where it begins there.

        Args:
            text: What the user says, without space around it.
            system: What the system says, if anything.

        Raises:
            InputError: If the tokenizer has no template, or one that takes no such messages.
        """
        before = self._chat(_STANDS_FOR_TEXT, system).partition(_STANDS_FOR_TEXT)[0]
        whole = self._chat(text, system)
        start = whole.find(text, len(before))
        if not whole.startswith(before) or start < 0:
            raise InputError("this model's chat template changes what the user says: put it in yourself")
        return whole, start

    def _chat(self, text: str, system: str | None) -> str:
        if not self.hf.chat_template:
            raise InputError("this model's tokenizer has no chat template: leave chat out")
        said = [dict(role="system", content=system)] if system is not None else []
        messages = [*said, dict(role="user", content=text)]
        try:
            return str(self.hf.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
        except Exception as error:  # templates raise whatever they like
            raise InputError(f"this model's chat template takes no such messages: {one_line(error)}") from error
