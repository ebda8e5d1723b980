"""What an audit is asked, checked as far as that goes before a model is opened."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from subspace_illusion.auditing.given_model import given_tokenizer
from subspace_illusion.auditing.given_pairs import GivenPairs, given_pairs
from subspace_illusion.auditing.settings import Settings
from subspace_illusion.core.tokenizer import Tokenizer
from subspace_illusion.errors import InputError
from subspace_illusion.tasks.as_read import AsRead
from subspace_illusion.tasks.tokenise import Tokenised


@dataclass(frozen=True)
class Asked:
    """What an audit is asked.

    Attributes:
        settings: How it goes.
        subspaces: The user's, by label, as they were given.
        pairs: The raw table of pairs.
    """

    settings: Settings
    subspaces: Mapping[str, Any]
    pairs: GivenPairs

    @classmethod
    def given(cls, pairs: Any, subspaces: Mapping[str, Any] | None, settings: Mapping[str, Any]) -> "Asked":
        """What the arguments of ``audit`` ask.

        Raises:
            InputError: If a setting or the pairs are wrong, or there is no subspace to audit.
        """
        chosen, user = Settings.given(settings), {} if subspaces is None else subspaces
        if not (len(user) or chosen.train):
            raise InputError("there is no subspace to audit: give some, by label, or let DAS train one (train=True)")
        return cls(chosen, user, given_pairs(pairs, chosen))

    def read(self, model: Any) -> tuple[Tokenised, AsRead, Tokenizer]:
        """The tables of prompts and of pairs for a model, how they were read, and the tokenizer that told.

        Raises:
            InputError: If rows are wrong, and are not to be left out; if it is no model.
        """
        tokenizer, said = given_tokenizer(model, self.settings.bos)
        chosen = self.settings
        return *self.pairs.read(tokenizer, chosen, chosen.test_share, said=said, span=chosen.span), tokenizer
