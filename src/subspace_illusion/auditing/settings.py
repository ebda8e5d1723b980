"""How an audit goes: what is made, and how much of it."""

from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from subspace_illusion.core.matmul import MatmulDtype
from subspace_illusion.core.placed import DeviceMap, read_device_map
from subspace_illusion.core.tokenizer import Dtype
from subspace_illusion.errors import InputError
from subspace_illusion.subspace.das import Loss
from subspace_illusion.tasks.cells import in_python
from subspace_illusion.tasks.reading import PairsReading
from subspace_illusion.tasks.table import Span


def _each_once(seeds: tuple[int, ...]) -> tuple[int, ...]:
    if len(set(seeds)) < len(seeds):
        raise ValueError("give each once")
    return seeds


Count = Annotated[int, BeforeValidator(in_python), Field(ge=1)]
Seed = Annotated[int, BeforeValidator(in_python), Field(ge=0)]
Seeds = Annotated[tuple[Seed, ...], BeforeValidator(in_python), Field(min_length=1), AfterValidator(_each_once)]
Positive = Annotated[float, BeforeValidator(in_python), Field(gt=0)]
Share = Annotated[float, BeforeValidator(in_python), Field(gt=0, lt=1)]
Resamples = Annotated[int, BeforeValidator(in_python), Field(ge=100)]  # fewer have no 2.5th percentile to speak of
Placing = Annotated[DeviceMap, BeforeValidator(read_device_map)]


class Das(BaseModel):
    """How DAS trains; see ``subspace.das.train_das``. As the planted cases were trained that verdicts rest on."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    steps: Count = 30
    batch: Count = 12
    lr: Positive = 0.02
    loss: Loss = "cross_entropy"
    min_gain: Annotated[float, BeforeValidator(in_python), Field(ge=0, lt=1)] = 0.02
    matmul_dtype: MatmulDtype = "auto"


class Reading(PairsReading):
    """How a model and pairs are read.

    Attributes:
        dtype: What the weights of a model in a folder are kept in: ``auto``, as they are saved, ``float32``,
            ``bfloat16`` or ``float16``. Bases, statistics and logits are float32 whatever it is.
        device_map: Which modules run where, as transformers has it: ``auto``, ``balanced``, ``sequential``, a device,
            or a mapping of modules to devices, ``cpu`` and ``disk`` among them; a JSON file with one; ``None`` for one
            device, a GPU where there is one.
        span: Of a position that is a text of several tokens, whether the ``last`` is read and patched, ``all`` are, or,
            with ``mean``, all by the difference of their means; what is read of several is their mean. ``localise``
            takes the last, and says so.
        filter_incorrect: Whether pairs that the model gets wrong are left out.
        seed: Of the split and of draws.
    """

    dtype: Dtype = "auto"
    device_map: Placing | None = None
    span: Span = "last"
    filter_incorrect: bool = True
    seed: Seed = 0

    @classmethod
    def given(cls, asked: Mapping[str, Any]) -> Self:
        """The settings of a call's keyword arguments.

        Raises:
            InputError: If one is unknown, or makes no sense.
        """
        if unknown := [name for name in asked if name not in cls.model_fields]:
            raise InputError(f"there is no setting '{unknown[0]}'; there are {', '.join(cls.model_fields)}")
        try:
            return cls.model_validate(dict(asked))
        except ValidationError as error:
            first = error.errors()[0]
            if isinstance(said := first.get("ctx", {}).get("error"), InputError):  # which names what is wrong itself
                raise said from error
            what, place = first["msg"].removeprefix("Value error, "), ".".join(str(part) for part in first["loc"])
            raise InputError(f"{place} is {first['input']!r}: {what}" if place else what) from error


class Settings(Reading):
    """How an audit goes.

    Attributes:
        train: Whether DAS trains a subspace beside the user's.
        controls: Whether controls are made: random directions, norm-matched placebos and pairs of the same value for
            every subspace; and, where DAS trains, what it finds on arbitrary labels.
        calibrate: Whether cases of known truth are planted in the component itself, so that intervals hold what they
            show too; where it is the only one and that takes less than ``LONGEST_PLANTING`` seconds, by the forecast.
        rank: Of the subspace that is trained.
        seeds: Of its training.
        das: How it is trained, a ``Das`` or a dictionary of its attributes; the controls' own runs make all steps.
        recorded_gb: Gigabytes of what is recorded of prompts (activations, keys, values) that stay in memory; the rest
            is put into a temporary folder (``TMPDIR``) while the audit runs.
        test_share: Share of the groups of pairs that effects are measured on, where the pairs have no ``split``.
        resamples: Draws of the bootstrap.
    """

    train: bool = True
    controls: bool = True
    calibrate: bool = True
    rank: Count = 1
    seeds: Seeds = (0,)
    das: Das = Das()
    recorded_gb: Positive = 0.25
    test_share: Share = 0.5
    resamples: Resamples = 2000

    def planted_at(self, components: int) -> "Settings":
        """The same, where cases are planted: in a component that stands alone, and is read at one token."""
        return self if components == 1 and self.span == "last" else self.planting_nothing

    @property
    def planting_nothing(self) -> "Settings":
        """The same, but that no case is planted."""
        return self.model_copy(update=dict(calibrate=False))

    @property
    def learning(self) -> dict[str, Any]:
        """How a DAS run goes, as ``train_das`` takes it."""
        return dict(self.das)


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
LONGEST_PLANTING = 30.0
"""Seconds that planting cases in the component itself may take."""
DOSES, MIXTURES = (0.0, 0.5, 1.0), 4
"""What is planted there, as shares of the signal, and how many mixtures of directions are tried at each."""
