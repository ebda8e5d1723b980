"""How an audit goes: what is made, and how much of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from subspace_illusion.core.matmul import MatmulDtype
from subspace_illusion.errors import InputError
from subspace_illusion.subspace.das import Loss
from subspace_illusion.tasks.tokenise import LAST


@dataclass(frozen=True)
class Das:
    """How DAS trains; see ``subspace.das.train_das``."""

    steps: int = 60
    batch: int = 40
    lr: float = 0.02
    loss: Loss = "cross_entropy"
    min_gain: float = 0.02
    matmul_dtype: MatmulDtype = "auto"


@dataclass(frozen=True)
class Settings:
    """How an audit goes.

    Attributes:
        train: Whether DAS trains a subspace beside the user's.
        controls: Whether controls are made for it (random directions, placebo, self-patch, arbitrary labels).
        rank: Of the subspace that is trained.
        seeds: Of its training.
        das: How it is trained; the controls' own runs make all steps.
        position: Where the pairs do not say it: ``last``, a token's index, or a text whose last token counts.
        source_position: The same in the sources.
        filter_incorrect: Whether pairs that the model gets wrong are left out.
        test_share: Share of the groups of pairs that effects are measured on, where the pairs have no ``split``.
        resamples: Draws of the bootstrap.
        seed: Of the split, the draws and random subspaces.
    """

    train: bool = True
    controls: bool = True
    rank: int = 1
    seeds: tuple[int, ...] = (0,)
    das: Das = field(default_factory=Das)
    position: str = LAST
    source_position: str = LAST
    filter_incorrect: bool = True
    test_share: float = 0.5
    resamples: int = 2000
    seed: int = 0

    @classmethod
    def given(cls, asked: Mapping[str, Any]) -> "Settings":
        """The settings of a call's keyword arguments.

        Raises:
            InputError: If one is unknown, or makes no sense.
        """
        known = [field.name for field in fields(cls)]
        if unknown := [name for name in asked if name not in known]:
            raise InputError(f"an audit has no setting '{unknown[0]}'; it has {', '.join(known)}")
        settings = cls(**asked)
        least = dict(rank=settings.rank, resamples=settings.resamples // 100, steps=settings.das.steps)
        if small := [name for name, count in least.items() if count < 1]:
            raise InputError(f"{small[0]} is too small: rank and steps from 1 on, resamples from 100 on")
        if not 0 < settings.test_share < 1:
            raise InputError(f"test_share is {settings.test_share}: take a share between 0 and 1")
        if not settings.seeds or len(set(settings.seeds)) < len(settings.seeds):
            raise InputError(f"seeds are {list(settings.seeds)}: give one at least, each once")
        position, source_position = str(settings.position), str(settings.source_position)
        return replace(settings, position=position, source_position=source_position, seeds=tuple(settings.seeds))

    @property
    def controlled(self) -> bool:
        """Whether controls are made: they are of what is trained."""
        return self.train and self.controls

    @property
    def learning(self) -> dict[str, Any]:
        """How a DAS run goes, as ``train_das`` takes it."""
        return vars(self.das)


BATCH = 32
"""Prompts, and pairs, in one forward pass."""
TOLERANCE = 1e-5
"""Singular values of a readout below this share of the largest count as zero."""
RANDOM_BASELINES = 100
"""Random subspaces behind each baseline of a cosine."""
RANDOM_DIRECTIONS = 10
"""Random directions that are patched, and along which placebos go."""
HALVINGS = 10
"""How often the natural cloud is dealt to two halves for its floor (E15)."""
