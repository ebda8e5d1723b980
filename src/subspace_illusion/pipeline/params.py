"""The one typed view of params.yaml, validated whole, whichever stage reads it."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from subspace_illusion.core.matmul import MatmulDtype
from subspace_illusion.core.sites import Site
from subspace_illusion.errors import InputError
from subspace_illusion.files import OWN
from subspace_illusion.subspace.keys import is_free

PARAMS = Path("params.yaml")
ONCE = ("localise", "cache_text", "recover_directions", "read_signs", "compare_mlps", "toy_example")
"""The experiments that are about no component of those under ``components``."""
NEEDS = {
    "trace_paths": "find_readers", "split_directions": "find_readers", "facts": "cache_text",
    "recover_directions": "cache_text", "read_signs": "cache_text", "compare_mlps": "cache_text",
}  # fmt: skip
"""The experiments that read what another leaves."""
Count = Annotated[int, Field(gt=0)]
Blocks = list[Annotated[int, Field(ge=0)]]
Names = list[str]
Once = Annotated[list[str], Field(max_length=1)]
Share = Annotated[float, Field(gt=0, lt=1)]
Percent = Annotated[float, Field(ge=0, le=100)]
Resamples = Annotated[int, Field(ge=100)]  # fewer have no 2.5th percentile to speak of
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Group(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class PypiModel(Group):
    """A gguf file inside a wheel of a Python package index."""

    source: Literal["pypi"]
    name: str
    requirement: str
    wheel_sha256: Sha256
    file: str
    file_sha256: Sha256


class HubModel(Group):
    """A repository of the Hugging Face hub, pinned to a commit."""

    source: Literal["hub"]
    name: str
    repository: str
    revision: Annotated[str, Field(pattern="^[0-9a-f]{40}$", description="a commit, 40 hex digits")]


class PathModel(Group):
    """A local HF folder."""

    source: Literal["path"]
    name: str
    path: Path


class Prompts(Group):
    seed: int
    train_cases: Count
    test_cases: Count
    test_share: Share


class UserSubspace(Group):
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


class Component(Group):
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
            if not (re.fullmatch(r"[A-Za-z][\w -]*", label) and is_free(label)):
                raise ValueError(f"'{label}' is no label for a subspace: take letters and digits, and no way's name")
        return subspaces

    @model_validator(mode="after")
    def _has_something_to_look_at(self) -> "Component":
        if not (self.train or self.subspaces):
            raise ValueError("train is false and there are no subspaces, so there is nothing to look at")
        return self

    @property
    def at(self) -> Site:
        return Site.parse(self.hook)


class Roles(Group):
    v_true: str
    v_mlp: str | None


class Cache(Group):
    shard_size: Count


class Localise(Group):
    resamples: Resamples
    seed: int
    pairs: Count
    map_pairs: Count
    batch: Count


class Das(Group):
    seeds: Annotated[list[int], Field(min_length=1)]
    steps: Count
    batch: Count
    lr: Annotated[float, Field(gt=0)]
    loss: Literal["cross_entropy", "logit_difference"]
    same_value: bool
    min_gain: Annotated[float, Field(ge=0, lt=1)]
    matmul_dtype: MatmulDtype

    @field_validator("seeds")
    @classmethod
    def _all_different(cls, seeds: list[int]) -> list[int]:
        if len(set(seeds)) < len(seeds):
            raise ValueError("the seeds must differ from one another")
        return seeds

    @property
    def settings(self) -> dict[str, Any]:
        """How a run goes, whatever it is trained on and for whichever seeds."""
        return self.learning | dict(steps=self.steps, batch=self.batch)

    @property
    def to_the_end(self) -> dict[str, Any]:
        """The same with all steps made: for runs that may find nothing, whose loss falls little from the start."""
        return self.settings | dict(min_gain=0.0)

    @property
    def learning(self) -> dict[str, Any]:
        """The same, whatever the number of steps and of pairs in each."""
        return dict(lr=self.lr, loss=self.loss, min_gain=self.min_gain, matmul_dtype=self.matmul_dtype)


class Decompose(Group):
    rank_tolerance: Share
    random_directions: Count
    seed: int


class Evaluate(Group):
    resamples: Resamples
    batch: Count
    seed: int


class Dormant(Group):
    clean_range: tuple[Percent, Percent]

    @field_validator("clean_range")
    @classmethod
    def _in_order(cls, ends: tuple[float, float]) -> tuple[float, float]:
        if ends[0] >= ends[1]:
            raise ValueError("the lower percentile must come first")
        return ends


class ToyExample(Group):
    dimensions: Annotated[list[Count], Field(min_length=1)]
    seed: int


class FindReaders(Group):
    share: Share
    minor_share: Share
    mover_share: Share
    published: dict[Literal["name mover", "backup name mover"], list[Annotated[str, Field(pattern=r"^\d+\.\d+$")]]]


class Experiments(Group):
    """Which components the costlier experiments run for; an empty list leaves an experiment out.

    Those that are about no single component have one name in their list, or none.
    """

    localise: Once
    find_readers: Once
    trace_paths: Names
    split_directions: Names
    tell_names: Names
    random_mlp: Names
    neuron_sweep: Names
    controls: Names
    random_model: Names
    facts: Names
    cache_text: Once
    recover_directions: Once
    read_signs: Once
    compare_mlps: Once
    toy_example: Once

    @field_validator("*")
    @classmethod
    def _all_different(cls, names: list[str]) -> list[str]:
        if len(set(names)) < len(names):
            raise ValueError("the names must differ from one another")
        return names


class TracePaths(Group):
    pairs: Count
    batch: Count


class SplitDirections(Group):
    pairs: Count
    random_subspaces: Annotated[int, Field(ge=2)]
    seed: int


class TellNames(Group):
    permutations: Annotated[int, Field(ge=20)]  # a p of 1/20 is the largest that could say anything
    random_directions: Count
    seed: int


class RandomMlp(Group):
    draws: Count
    seed: int


class NeuronSweep(Group):
    shares: Annotated[list[Annotated[float, Field(gt=0, le=1)]], Field(min_length=2)]
    draws: Count
    batch: Count
    seed: int


class Controls(Group):
    random_directions: Annotated[int, Field(ge=2)]
    das_seeds: Annotated[list[int], Field(min_length=1)]
    random_model_pairs: Count
    seed: int


class ModelText(Group):
    """Text sampled from the model itself."""

    source: Literal["model"]
    sequences: Count
    length: Count


class PathText(Group):
    """A text file, or a folder of .txt files."""

    source: Literal["path"]
    path: Path
    sequences: Count
    length: Count


class HubText(Group):
    """One column of a dataset of the Hugging Face hub, pinned to a commit or to the hub's own conversion to parquet."""

    source: Literal["hub"]
    repository: str
    revision: Annotated[str, Field(pattern="^([0-9a-f]{40}|refs/convert/parquet)$")]
    column: str
    sequences: Count
    length: Count


class CacheText(Group):
    text: Annotated[ModelText | PathText | HubText, Field(discriminator="source")]
    positions: Count
    train: Annotated[int, Field(ge=8)]  # a quarter serves for validation
    seed: int

    @model_validator(mode="after")
    def _something_is_held_out(self) -> "CacheText":
        if self.positions - self.train < 2:
            raise ValueError(f"train is {self.train} of {self.positions} positions, which leaves too few to measure on")
        return self


class RecoverDirections(Group):
    directions: Count
    alphas: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1)]
    permutations: Count
    rank_tolerance: Share
    seed: int


class ReadSigns(Group):
    directions: Count
    C: Annotated[float, Field(gt=0)]
    z: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=1)]
    seed: int


class CompareMlps(Group):
    blocks: Count
    directions: Count
    seed: int


class VerdictRules(Group):
    smallest_effect: Annotated[float, Field(gt=0)]
    calibration: Path


class ScoreRules(Group):
    halvings: Count


class Planted(Group):
    """The components that signals of one task are rerouted through, by block, and hooks looked at as they are."""

    path: Path
    seeds: Annotated[list[int], Field(min_length=1)]
    mlps: Blocks = []
    random_mlps: Blocks = []
    attention: Blocks = []
    natural: list[str] = []

    @field_validator("natural")
    @classmethod
    def _are_sites(cls, names: list[str]) -> list[str]:
        return [Site.parse(name).name for name in names]


class Calibrate(Group):
    doses: Annotated[list[Annotated[float, Field(ge=0, le=1)]], Field(min_length=2)]
    null_parts: list[Annotated[float, Field(gt=0)]]
    off_route: list[float]
    arbitrary: list[float]
    tasks: dict[Literal["ioi", "agreement"], Planted]
    train_cases: Count
    test_cases: Count
    steps: Count
    batch: Count
    seed: int


class Plots(Group):
    dpi: Count


class Task(Group):
    """A task that comes with the project, ``path`` the folder of its words and sentences; or ``pairs``, a file of the
    user's own, and the position where it has no column for it."""

    name: Literal["ioi", "agreement", "facts", "pairs"]
    path: Path
    wrong_pairs: Literal["drop", "keep"]
    position: str | int
    source_position: str | int


class Facts(Group):
    blocks: Annotated[Blocks, Field(min_length=1)] = [0]
    pairs: Annotated[int, Field(ge=2)]
    steps: Count
    shared_steps: Count
    shared_batch: Count
    lr: Annotated[float, Field(gt=0)]
    edit_steps: Count
    edit_lr: Annotated[float, Field(gt=0)]
    ridge: Annotated[float, Field(gt=0)]
    seed: int


class Compute(Group):
    """How work is done and not what it gives: no stage depends on it.

    ``scheduler`` is ``none`` for this process, ``local`` for ``workers`` processes of this machine, or the address of a
    dask scheduler. ``threads`` are a worker's, 0 for as many as it has cores; the last digits can depend on them.
    """

    scheduler: Annotated[str, Field(pattern=r"^(none|local|\w+://\S+)$", description="none, local or an address")]
    workers: Count
    threads: Annotated[int, Field(ge=0)]
    store: Path


class Params(Group):
    task: Task
    size: str
    model: Annotated[PypiModel | HubModel | PathModel, Field(discriminator="source")]
    prompts: Prompts
    components: Annotated[dict[str, Component], Field(min_length=1)]
    roles: Roles
    cache: Cache
    localise: Localise
    das: Das
    decompose: Decompose
    evaluate: Evaluate
    dormant: Dormant
    toy_example: ToyExample
    experiments: Experiments
    find_readers: FindReaders
    trace_paths: TracePaths
    split_directions: SplitDirections
    tell_names: TellNames
    random_mlp: RandomMlp
    neuron_sweep: NeuronSweep
    controls: Controls
    cache_text: CacheText
    recover_directions: RecoverDirections
    read_signs: ReadSigns
    compare_mlps: CompareMlps
    facts: Facts
    score: ScoreRules
    verdict: VerdictRules
    calibrate: Calibrate
    plots: Plots
    compute: Compute

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
            if name is not None and name not in self.components:
                raise ValueError(f"roles.{role} is '{name}', which is none of {', '.join(self.components)}")
            if name is not None and not self.components[name].train:
                raise ValueError(f"roles.{role} is '{name}', whose train is false; a role needs a trained subspace")
        if not self.components[self.roles.v_true].at.in_residual:
            raise ValueError(f"roles.v_true is '{self.roles.v_true}', which is not in the residual stream")
        if self.roles.v_mlp is not None and self.components[self.roles.v_mlp].at.readout != ("mlp", "out"):
            raise ValueError(f"roles.v_mlp is '{self.roles.v_mlp}', which is not an MLP's hidden activations")
        return self

    @model_validator(mode="after")
    def _experiments_fit(self) -> "Params":
        needs_training = ("trace_paths", "random_mlp", "neuron_sweep", "controls", "random_model")
        for experiment, names in self.experiments:
            for name in () if experiment in ONCE else names:
                if name not in self.components:
                    raise ValueError(f"experiments.{experiment}: '{name}' is none of {', '.join(self.components)}")
                if experiment in needs_training and not self.components[name].train:
                    raise ValueError(f"experiments.{experiment}: the train of '{name}' is false")
        for name in self.experiments.split_directions:
            if not self.components[name].at.in_residual:
                raise ValueError(f"experiments.split_directions: '{name}' is not in the residual stream")
        for name in self.experiments.random_mlp:
            if self.components[name].at.readout != ("mlp", "out"):
                raise ValueError(f"experiments.random_mlp: '{name}' is not an MLP's hidden activations")
        for experiment, needed in NEEDS.items():
            if getattr(self.experiments, experiment) and not getattr(self.experiments, needed):
                raise ValueError(f"experiments.{experiment} needs experiments.{needed}, which is empty")
        for experiment, task in (("tell_names", "ioi"), ("facts", "facts")):
            if getattr(self.experiments, experiment) and self.task.name != task:
                raise ValueError(f"experiments.{experiment} is of the task {task} alone: set it to []")
        return self


def shown_params(path: Path = PARAMS) -> str:
    """The parameters as a report shows them: the file's own text would have how the work was done, too."""
    written = yaml.safe_load(path.read_text(encoding="utf-8"))
    return yaml.safe_dump({name: of for name, of in written.items() if name != "compute"}, sort_keys=False)


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
        sourced = {("model",), ("cache_text", "text")}  # pydantic puts the source behind these
        place = first["loc"]
        where = ".".join(str(part) for i, part in enumerate(place) if place[:i] not in sourced)
        what = first["msg"].removeprefix("Value error, ")
        got = "" if isinstance(first["input"], dict) else f" (it is {first['input']!r})"
        raise InputError(": ".join(part for part in (str(path), where, what + got) if part)) from error
