"""The one typed view of params.yaml, validated whole, whichever sections a stage reads."""

from pathlib import Path
from typing import Annotated, ClassVar, TypeVar

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from subspace_illusion.errors import InputError
from subspace_illusion.files import one_line
from subspace_illusion.pipeline.layout import PARAMS
from subspace_illusion.pipeline.sections import (
    Cache,
    CacheText,
    CompareMlps,
    Components,
    Compute,
    Controls,
    Count,
    Das,
    Decompose,
    Dormant,
    Experiments,
    Facts,
    FindReaders,
    Gain,
    Labels,
    Learning,
    Localise,
    Model,
    NeuronSweep,
    Plots,
    Prompts,
    RandomMlp,
    RandomModel,
    Readers,
    ReadSigns,
    RecoverDirections,
    Recovery,
    Resamples,
    Section,
    See,
    Seeds,
    Share,
    Signs,
    SplitDirections,
    Task,
    TellNames,
    Texts,
    ToyExample,
    TracePaths,
    Verdict,
)
from subspace_illusion.tasks.reading import PairsReading

NEEDS = (
    ("trace_paths", "find_readers"), ("split_directions", "find_readers"), ("facts", "cache_text"),
    ("facts", "localise"), ("recover_directions", "cache_text"), ("read_signs", "cache_text"),
    ("compare_mlps", "cache_text"),
)  # fmt: skip
"""The experiments that read what another leaves, each with that one."""
OF_TEXTS = ("cache_text", "recover_directions", "read_signs", "compare_mlps")
"""The experiments whose list names texts."""
OF_COMPONENTS = (
    *("find_readers", "trace_paths", "split_directions", "tell_names", "random_mlp", "neuron_sweep", "controls"),
    *("repair", "random_model", "facts"),
)
"""The experiments whose list names components."""

Named = TypeVar("Named", bound=dict)


class Parameters(Section):
    """All sections of one file; a section of a single value is that value."""

    FILE: ClassVar[Path]


class Params(Parameters):
    FILE = PARAMS

    names: Labels
    size: str
    seed: int
    task: Task
    model: Annotated[Model, Field(discriminator="source")]
    prompts: Prompts
    components: Annotated[Components, Field(min_length=1)]
    v_true: str
    v_mlp: str | None
    experiments: Experiments
    cache: Cache
    das: Das
    learning: Learning
    das_seeds: Seeds
    train_batch: Count
    min_gain: Gain
    same_value: bool
    resamples: Resamples
    patch_batch: Count
    rank_tolerance: Share
    localise: Localise
    decompose: Decompose
    dormant: Dormant
    readers: Readers
    find_readers: FindReaders
    trace_paths: TracePaths
    split_directions: SplitDirections
    tell_names: TellNames
    random_mlp: RandomMlp
    neuron_sweep: NeuronSweep
    controls: Controls
    random_model: RandomModel
    control_seeds: Seeds
    facts: Facts
    texts: Texts
    cache_text: CacheText
    recovery: Recovery
    recover_directions: RecoverDirections
    signs: Signs
    read_signs: ReadSigns
    compare_mlps: CompareMlps
    toy_example: ToyExample
    see: See
    verdict: Verdict
    plots: Plots
    compute: Compute

    @field_validator("components", "texts")
    @classmethod
    def _names_serve_as_file_names(cls, named: Named) -> Named:
        for name in named:
            if not name.isidentifier():
                raise ValueError(f"'{name}' is no name for a file: use letters, digits and underscores")
        return named

    @model_validator(mode="after")
    def _roles_are_components(self) -> "Params":
        for role, name in dict(v_true=self.v_true, v_mlp=self.v_mlp).items():
            if name is not None and name not in self.components:
                raise ValueError(f"{role} is '{name}', which is none of {', '.join(self.components)}")
            if name is not None and not self.components[name].train:
                raise ValueError(f"{role} is '{name}', whose train is false; it needs a trained subspace")
        if not self.components[self.v_true].at.in_residual:
            raise ValueError(f"v_true is '{self.v_true}', which is not in the residual stream")
        if self.v_mlp is not None and not self.components[self.v_mlp].at.is_mlp_hidden:
            raise ValueError(f"v_mlp is '{self.v_mlp}', which is not an MLP's hidden activations")
        return self

    @model_validator(mode="after")
    def _experiments_fit(self) -> "Params":
        needs_training = ("trace_paths", "random_mlp", "neuron_sweep", "controls", "random_model")
        for experiment in OF_COMPONENTS:
            for name in getattr(self.experiments, experiment):
                if name not in self.components:
                    raise ValueError(f"experiments.{experiment}: '{name}' is none of {', '.join(self.components)}")
                if experiment in needs_training and not self.components[name].train:
                    raise ValueError(f"experiments.{experiment}: the train of '{name}' is false")
        for name in self.experiments.split_directions:
            if not self.components[name].at.in_residual:
                raise ValueError(f"experiments.split_directions: '{name}' is not in the residual stream")
        for name in self.experiments.random_mlp:
            if not self.components[name].at.is_mlp_hidden:
                raise ValueError(f"experiments.random_mlp: '{name}' is not an MLP's hidden activations")
        for experiment, needed in NEEDS:
            if getattr(self.experiments, experiment) and not getattr(self.experiments, needed):
                raise ValueError(f"experiments.{experiment} needs experiments.{needed}, which is empty")
        for experiment, task in (("tell_names", "ioi"), ("facts", "facts")):
            if getattr(self.experiments, experiment) and self.names.task != task:
                raise ValueError(f"experiments.{experiment} is of the task {task} alone: set it to []")
        return self

    @model_validator(mode="after")
    def _only_a_table_is_read(self) -> "Params":
        for name, default in PairsReading():
            if self.names.task != "pairs" and getattr(self.task, name) != default:
                raise ValueError(f"task.{name} is of the task pairs alone: leave it out")
        return self

    @model_validator(mode="after")
    def _texts_are_there(self) -> "Params":
        asked = {f"experiments.{name}": getattr(self.experiments, name) for name in OF_TEXTS}
        if self.experiments.facts:
            asked["facts.text"] = [self.facts.text]
        for place, names in asked.items():
            for name in names:
                if name not in self.texts:
                    raise ValueError(f"{place}: '{name}' is none of {', '.join(self.texts)} (texts)")
                if name not in self.experiments.cache_text:
                    raise ValueError(f"{place}: '{name}' is not in experiments.cache_text")
        return self


P = TypeVar("P", bound=Parameters)


def read_params(kind: type[P], path: Path | None = None) -> P:
    """The parameters, every one checked.

    Args:
        kind: Which.
        path: Their file, if it is not where it belongs.

    Raises:
        InputError: If the file or any parameter is wrong; the message names the first one.
    """
    path = path or kind.FILE
    try:
        return kind.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not YAML: {one_line(error)}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = first["loc"]
        sourced = {("model",), ("texts", *place[1:2])}  # pydantic puts the source behind these
        where = ".".join(str(part) for i, part in enumerate(place) if place[:i] not in sourced)
        what = first["msg"].removeprefix("Value error, ")
        got = "" if isinstance(first["input"], dict) else f" (it is {first['input']!r})"
        raise InputError(": ".join(part for part in (str(path), where, what + got) if part)) from error


def shown_params() -> str:
    """The parameters as a report shows them: the file's own text would have how the work was done, too."""
    written = yaml.safe_load(PARAMS.read_text(encoding="utf-8"))
    return yaml.safe_dump({name: value for name, value in written.items() if name != "compute"}, sort_keys=False)
