"""How a table of pairs is read and put to a model: all that a user may say of it, wherever the pairs are read."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from subspace_illusion.core.tokenizer import Bos
from subspace_illusion.tasks.answers import Join
from subspace_illusion.tasks.cells import in_python
from subspace_illusion.tasks.phrasing import Phrasing
from subspace_illusion.tasks.positions import LAST


def _in_words(value: Any) -> Any:
    """A switch that YAML, where a bare yes or no is one, makes true or false of."""
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else value


Position = Annotated[str, BeforeValidator(lambda value: str(in_python(value)))]


class PairsReading(BaseModel):
    """How a table of pairs is read and put to a model.

    Attributes:
        columns: By our name of a column of pairs the one that the user's table has for it.
        counterfactual: Which kind, where a table of MIB's has several.
        position: Where the pairs do not say it: ``last``, a token's index, or a text whose last token counts.
        source_position: The same in the sources; by default what it is in their bases.
        join: How answers follow their prompts, where the pairs do not say it: ``direct``, after a ``space``, or, with
            ``auto``, as the texts tell.
        bos: Whether a beginning-of-sequence token stands before prompts; ``auto``: as the model's own tokenizer does.
        chat: Whether prompts are what a user says in the model's own chat template.
        system: What the system says there.
        both_ways: Whether every pair is added the other way round too.
        skip_bad_rows: Whether rows that are wrong are left out; by default all are named, and nothing is run.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    columns: Annotated[Mapping[str, str], BeforeValidator(lambda value: {} if value is None else value)] = Field(
        default_factory=dict
    )
    counterfactual: str | None = None
    position: Position = LAST
    source_position: Position | None = None
    join: Join = "auto"
    bos: Annotated[Bos, BeforeValidator(_in_words)] = "auto"
    chat: bool = False
    system: str | None = None
    both_ways: bool = False
    skip_bad_rows: bool = False

    @model_validator(mode="after")
    def _system_is_of_a_chat(self) -> Self:
        if self.system is not None and not self.chat:
            raise ValueError("system is what the system says in a chat, and chat is off: turn it on, or leave it out")
        return self

    @property
    def phrasing(self) -> Phrasing:
        """How prompts are put to the model."""
        return Phrasing(self.join, self.chat, self.system)
