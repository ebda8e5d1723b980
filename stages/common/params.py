"""The one typed view of params.yaml, validated whole, whichever stage reads it."""

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from subspace_illusion.errors import InputError
from subspace_illusion.sites import Site

PARAMS = Path("params.yaml")
Count = Annotated[int, Field(gt=0)]
Resamples = Annotated[int, Field(ge=100)]  # fewer have no 2.5th percentile to speak of
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PypiModel(Section):
    """A gguf file inside a wheel of a Python package index."""

    source: Literal["pypi"]
    name: str
    requirement: str
    wheel_sha256: Sha256
    file: str
    file_sha256: Sha256


class HubModel(Section):
    """A repository of the Hugging Face hub, pinned to a commit."""

    source: Literal["hub"]
    name: str
    repository: str
    revision: Annotated[str, Field(pattern="^[0-9a-f]{40}$", description="a commit, 40 hex digits")]


class PathModel(Section):
    """A local HF folder."""

    source: Literal["path"]
    name: str
    path: Path


class Prompts(Section):
    seed: int
    train_cases: Count
    test_cases: Count
    test_share: Annotated[float, Field(gt=0, lt=1)]


class Component(Section):
    hook: str
    rank: Count = 1

    @field_validator("hook")
    @classmethod
    def _is_a_site(cls, name: str) -> str:
        return Site.parse(name).name

    @property
    def at(self) -> Site:
        return Site.parse(self.hook)


class Roles(Section):
    v_true: str
    v_mlp: str


class Cache(Section):
    shard_size: Count


class Localise(Section):
    resamples: Resamples
    seed: int
    pairs: Count
    batch: Count


class Das(Section):
    seeds: Annotated[list[int], Field(min_length=1)]
    steps: Count
    batch: Count
    lr: Annotated[float, Field(gt=0)]
    loss: Literal["cross_entropy", "logit_difference"]

    @field_validator("seeds")
    @classmethod
    def _all_different(cls, seeds: list[int]) -> list[int]:
        if len(set(seeds)) < len(seeds):
            raise ValueError("the seeds must differ from one another")
        return seeds


class Decompose(Section):
    rank_tolerance: Annotated[float, Field(gt=0, lt=1)]
    random_directions: Count
    seed: int


class Evaluate(Section):
    resamples: Resamples
    batch: Count
    seed: int


class Plots(Section):
    dpi: Count


class Params(Section):
    model: Annotated[PypiModel | HubModel | PathModel, Field(discriminator="source")]
    prompts: Prompts
    components: Annotated[dict[str, Component], Field(min_length=1)]
    roles: Roles
    cache: Cache
    localise: Localise
    das: Das
    decompose: Decompose
    evaluate: Evaluate
    plots: Plots

    @field_validator("components")
    @classmethod
    def _names_serve_as_file_names(cls, components: dict[str, Component]) -> dict[str, Component]:
        for name in components:
            if not name.isidentifier():
                raise ValueError(f"'{name}' is no component name: use letters, digits and underscores")
        return components

    @model_validator(mode="after")
    def _roles_are_components(self) -> "Params":
        for role, name in self.roles:
            if name not in self.components:
                raise ValueError(f"roles.{role} is '{name}', which is none of {', '.join(self.components)}")
        if not self.components[self.roles.v_true].at.in_residual:
            raise ValueError(f"roles.v_true is '{self.roles.v_true}', which is not in the residual stream")
        if self.components[self.roles.v_mlp].at.readout != ("mlp", "out"):
            raise ValueError(f"roles.v_mlp is '{self.roles.v_mlp}', which is not an MLP's hidden activations")
        return self


def read_params(path: Path = PARAMS) -> Params:
    """The parameters, every one checked.

    Raises:
        InputError: If the file or any parameter is wrong; the message names the first one.
    """
    try:
        return Params.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    except ValidationError as error:
        first = error.errors()[0]
        tags = {"pypi", "hub", "path"}  # pydantic puts the source into the place of a model's parameter
        where = ".".join(str(part) for part in first["loc"] if part not in tags)
        what = first["msg"].removeprefix("Value error, ")
        got = "" if isinstance(first["input"], dict) else f" (it is {first['input']!r})"
        raise InputError(": ".join(part for part in (str(path), where, what + got) if part)) from error
