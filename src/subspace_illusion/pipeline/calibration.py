"""The parameters of stages/calibration, beside its pipeline: what is planted, where, and how that is measured."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from subspace_illusion.core.matmul import MatmulDtype
from subspace_illusion.core.sites import Site
from subspace_illusion.pipeline.layout import CALIBRATION_PARAMS
from subspace_illusion.pipeline.params import Parameters
from subspace_illusion.pipeline.sections import (
    Block,
    Compute,
    Count,
    Dose,
    Gain,
    Model,
    Positive,
    Prompts,
    Resamples,
    Section,
    Seeds,
    Share,
)
from subspace_illusion.planting.mediated import PLACES
from subspace_illusion.subspace.das import Loss


class CalibrationLabels(Section):
    """What the outcome says that it was measured on."""

    model: str
    size: str


class PlantedTask(Section):
    """The components that signals of one task are rerouted through, by block, and hooks looked at as they are."""

    path: Path
    seeds: Seeds
    mlps: tuple[Block, ...] = ()
    random_mlps: tuple[Block, ...] = ()
    attention: tuple[Block, ...] = ()
    natural: tuple[str, ...] = ()

    @field_validator("natural")
    @classmethod
    def _are_sites(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(Site.parse(name).name for name in names)


Tasks = dict[str, PlantedTask]


class PlantedCases(Section):
    """Where signals of one task are planted in one model: its blocks."""

    model: str
    task: str
    path: Path
    blocks: Annotated[list[Block], Field(min_length=1)]


Cases = dict[str, PlantedCases]
Models = dict[str, Annotated[Model, Field(discriminator="source")]]


class Planting(Section):
    """What is planted in every block: the places, the doses, how many mixtures of directions, on how many cases."""

    places: Annotated[list[str], Field(min_length=1)]
    doses: Annotated[list[Dose], Field(min_length=2)]
    mixtures: Count
    train_cases: Count
    test_cases: Count

    @field_validator("doses")
    @classmethod
    def _begin_without(cls, doses: list[float]) -> list[float]:
        if doses[0] != 0:
            raise ValueError("the first must be 0, at which the component shows what it does by itself")
        return doses

    @field_validator("places")
    @classmethod
    def _are_places(cls, places: list[str]) -> list[str]:
        if unknown := [name for name in places if name not in PLACES]:
            raise ValueError(f"'{unknown[0]}' is no place to plant in: take {', '.join(PLACES)}")
        return places


class PlantedPrompts(Prompts):
    """``same_value``: whether half of the training pairs have a source of the base's value."""

    same_value: bool


class Signals(Section):
    """How much of a signal is planted, in what beside it, and the doses at which controls are trained too."""

    doses: Annotated[list[Dose], Field(min_length=2)]
    null_parts: list[Positive]
    off_route: list[float]
    arbitrary: list[float]


class PlantedDas(Section):
    """How a run of DAS goes, as ``train_das`` takes it."""

    steps: Count
    batch: Count
    lr: Positive
    loss: Loss
    min_gain: Gain
    matmul_dtype: MatmulDtype


class CalibrationParams(Parameters):
    FILE = CALIBRATION_PARAMS

    names: CalibrationLabels
    seed: int
    models: Models
    cases: Cases
    planting: Planting
    same_value: bool
    test_share: Share
    tasks: Tasks
    prompts: PlantedPrompts
    signals: Signals
    das: PlantedDas
    resamples: Resamples
    patch_batch: Count
    rank_tolerance: Share
    smallest_effect: Positive
    compute: Compute

    @model_validator(mode="after")
    def _cases_name_models(self) -> "CalibrationParams":
        for name, case in self.cases.items():
            if case.model not in self.models:
                raise ValueError(f"cases.{name}: '{case.model}' is none of the models {', '.join(self.models)}")
        return self

    @field_validator("tasks")
    @classmethod
    def _are_those_of_the_pipeline(cls, tasks: Tasks) -> Tasks:
        if set(tasks) != {"ioi", "agreement"}:
            raise ValueError("they must be ioi and agreement: add those of this model to conf/calibrate")
        return tasks
