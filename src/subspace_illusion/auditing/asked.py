"""What an audit is asked, checked as far as that goes before a model is opened."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from subspace_illusion.auditing.given import given_pairs
from subspace_illusion.auditing.settings import Settings
from subspace_illusion.core.checkpoints import Tokenizer
from subspace_illusion.errors import InputError
from subspace_illusion.tasks.token_ids import in_words
from subspace_illusion.tasks.tokenise import tokenise


@dataclass(frozen=True)
class Asked:
    """What an audit is asked.

    Attributes:
        settings: How it goes.
        subspaces: The user's, by label, as they were given.
        raw: The raw table of pairs.
        name: What messages call it.
        about_pairs: Where it is from, as values of JSON.
    """

    settings: Settings
    subspaces: Mapping[str, Any]
    raw: pd.DataFrame
    name: str
    about_pairs: Mapping[str, Any]

    @classmethod
    def given(cls, pairs: Any, subspaces: Mapping[str, Any] | None, settings: Mapping[str, Any]) -> "Asked":
        """What the arguments of ``audit`` ask.

        Raises:
            InputError: If a setting or the pairs are wrong, or there is no subspace to audit.
        """
        chosen, user = Settings.given(settings), {} if subspaces is None else subspaces
        if not (len(user) or chosen.train):
            raise InputError("there is no subspace to audit: give some, by label, or let DAS train one (train=True)")
        return cls(chosen, user, *given_pairs(pairs, chosen.columns, chosen.counterfactual))

    def tokenised(self, tokenizer: Tokenizer) -> tuple[pd.DataFrame, pd.DataFrame]:
        """The tables of prompts and of pairs.

        Raises:
            InputError: If an answer is no token, a position is not there, or answers cannot be told apart.
        """
        return tokenise(
            in_words(self.raw, tokenizer, self.name),
            tokenizer,
            position=self.settings.position,
            source_position=self.settings.source_position,
            test_share=self.settings.test_share,
            seed=self.settings.seed,
            name=self.name,
        )
