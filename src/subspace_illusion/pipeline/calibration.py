"""The parameters of stages/calibration, beside its pipeline: what is planted, where, and how that is measured."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from subspace_illusion.core.matmul import MatmulDtype
from subspace_illusion.pipeline.layout import CALIBRATION_PARAMS
from subspace_illusion.pipeline.params import Parameters
from subspace_illusion.pipeline.sections import Block, Compute, Count, Dose, Gain, Model, Positive, Section, Share
from subspace_illusion.planting.places import PLACES
from subspace_illusion.subspace.das import Loss


class PlantedCases(Section):
    """Where signals of one task are planted in one model: its blocks, and the places in each."""

    model: str
    task: str
    path: Path
    blocks: Annotated[list[Block], Field(min_length=1)]
    places: Annotated[list[str], Field(min_length=1)]

    @field_validator("places")
    @classmethod
    def _are_places(cls, places: list[str]) -> list[str]:
        if unknown := [name for name in places if name not in PLACES]:
            raise ValueError(f"'{unknown[0]}' is no place to plant in: take {', '.join(PLACES)}")
        return places


Cases = dict[str, PlantedCases]
Models = dict[str, Annotated[Model, Field(discriminator="source")]]


class PlantedDas(Section):
    """How a run of DAS goes, as ``train_das`` takes it."""

    steps: Count
    batch: Count
    lr: Positive
    loss: Loss
    min_gain: Gain
    matmul_dtype: MatmulDtype


class Planting(Section):
    """What is planted in every place: the doses, how many mixtures of directions, on how many cases."""

    doses: Annotated[list[Dose], Field(min_length=2)]
    mixtures: Count
    train_cases: Count
    test_cases: Count
    das: PlantedDas

    @field_validator("doses")
    @classmethod
    def _rise_from_none(cls, doses: list[float]) -> list[float]:
        if doses[0] != 0:
            raise ValueError("the first must be 0, at which the component shows what it does by itself")
        if doses != sorted(set(doses)):
            raise ValueError("every dose must be larger than the one before: the last is the full one")
        return doses


class CalibrationParams(Parameters):
    FILE = CALIBRATION_PARAMS

    seed: int
    models: Models
    cases: Cases
    planting: Planting
    same_value: bool
    test_share: Share
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
