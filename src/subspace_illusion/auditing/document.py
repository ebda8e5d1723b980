"""``verdict.json``: what an audit found, for programs. ``schema.json`` beside this file is its JSON schema."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from subspace_illusion.verdict.intervals import Predicted
from subspace_illusion.verdict.judge import Caution
from subspace_illusion.verdict.rule import Reason

Format = Literal["subspace-illusion/verdict/4"]
FORMAT: Format = "subspace-illusion/verdict/4"
"""The form of the document; another number means that a program has to be changed to read it."""


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Figure(Part):
    """A figure; ``low`` and ``high`` are its 95 % interval over groups of pairs, where it has one, unless it says what
    else."""

    value: float
    low: float | None = None
    high: float | None = None


class Zones(Part):
    """What the interval of a mediated share is called: illusory where all of it is up to the one, faithful where all of
    it is from the other on."""

    illusory_up_to: float
    faithful_from: float


class IntervalOf(Part):
    """What a prediction interval is from."""

    model_config = ConfigDict(serialize_by_alias=True)

    source: Literal[
        "planted cases elsewhere", "planted cases elsewhere, widened by those planted in this component"
    ] = Field(alias="from")
    cases: int = Field(description="how many planted cases elsewhere, of like estimates where there are enough")
    level: float = Field(
        description="the share of the cases of one more block that such intervals hold, as far as the number of blocks "
        "elsewhere can promise it: 0.9 from 9 on, n / (n + 1) of fewer"
    )

    @classmethod
    def told(cls, predicted: Predicted) -> "IntervalOf":
        """That of a prediction interval."""
        return cls.model_validate({"from": predicted.source, "cases": predicted.cases, "level": predicted.level})


class SubspaceVerdict(Part):
    """The verdict on one subspace of one component."""

    hook: str
    subspace: str = Field(description="the label of yours, or trained, or mean difference; axis 1 of ..., where k > 1")
    yours: bool = Field(description="whether it is one that was given, or an axis of one")
    axis: int | None = Field(description="which principal axis of a subspace of several dimensions; null for all of it")
    rank: int
    verdict: str = Field(pattern="^(faithful|illusory|inconclusive)$")
    reason: Reason = Field(description="why it is called so")
    why: str = Field(description="the same in a sentence, for people")
    cautions: list[Caution] = Field(
        description="what to bear in mind, such as in what the subspace is unlike the planted cases"
    )
    effect: Figure | None = Field(
        description="logit difference lost, as a share of the clean one, on pairs held out from DAS, the mean "
        "difference and the readers; a direction of yours may have been fitted on them"
    )
    whole_component: Figure | None = Field(description="the same of patching the whole component")
    mediated_share: Figure | None = Field(
        description="the estimate of the share of the effect that goes through what the component itself hands on; low "
        "and high are its prediction interval; null where too little was planted in such places"
    )
    own_difference_share: Figure | None = Field(
        description="of the effect, what the component's own difference gives, moved as far as the patch moves it and "
        "no further than it really moves"
    )
    match: Figure | None = Field(
        description="effect and whole_component, the smaller over the larger; 0 where the signs differ"
    )
    interval: IntervalOf | None = Field(description="what the prediction interval is from; null where there is none")
    mean_ablation: Figure | None = Field(
        description="effect, likewise, of putting the mean of the training prompts along the subspace; null but for "
        "what was trained and yours"
    )
    steering: Figure | None = Field(
        description="effect, likewise, of adding the mean change along the subspace, whatever the source; null but for "
        "what was trained and yours"
    )


class ProofOf(Part):
    """What was off, at most, where nothing may be, in logits."""

    replay: float = Field(description="a replayed patch against a full forward pass with the component set")
    self_patch: float = Field(description="LD with the component set to what was read of it")
    null_part: float | None = Field(description="LD with all patched that the readout maps to zero")
    allowed: float
    noise: float = Field(
        default=0.0,
        description="by how much rounding to 16 bits moves an effect, a standard error and a share of the clean logit "
        "difference; the intervals of verdicts hold it. 0 in float32",
    )


class RowRead(Part):
    """The first pair in tokens."""

    base: list[str] = Field(description="the tokens of the base as it is run; the last is END")
    position: int = Field(description="the index of the one that is read and patched")
    answer: str | list[str] = Field(description="the token of the answer; a list where several are right")
    foil: str | list[str] = Field(description="the token of the foil, likewise")
    span: int = Field(
        default=1, description="how many tokens are read and patched, the last of them at the position: those of a span"
    )
    source: list[str] = Field(default=[], description="the tokens that are read in the source and patched in")
    source_position: int = Field(default=-1, description="the index of the last of these")


class PairsRead(Part):
    """How the pairs were read."""

    bos: str | None = Field(
        description="the beginning-of-sequence token that stands before every prompt; null where none does"
    )
    first_row: RowRead
    notes: list[str] = Field(description="what was done that the table does not say, for people")


class PairCounts(Part):
    """The pairs."""

    kept: int
    left_out: int = Field(description="the model gets them wrong")
    train: int = Field(
        description="kept, of different values: readers are from these, and, with those of one value beside them, mean "
        "difference and DAS"
    )
    test: int = Field(description="kept, of different values: effects are measured on these")
    test_groups: int
    source: dict[str, Any] = Field(
        description="file and sha256, where the pairs are from a file; read, what they were taken for, where they were "
        "not written for this project"
    )


class CalibratedOn(Part):
    """The planted cases that prediction intervals are from."""

    models: list[str]
    tasks: list[str]
    sha256: str = Field(description="of calibration.json")


class Document(Part):
    """What an audit found."""

    format: Format
    versions: dict[str, str]
    model: dict[str, Any] = Field(description="architecture, size, and path and sha256 of the weights where known")
    pairs: PairCounts
    reading: PairsRead
    settings: dict[str, Any]
    notes: dict[str, str] = Field(
        description="by the label of each subspace of yours: what it was taken for, what was done to make a basis, "
        "what its file says of itself, and in what the run differs from that"
    )
    planting: str = Field(
        default="", description="whether cases were planted in the component itself, which widen intervals, and why not"
    )
    left_out: list[str] = Field(description="hooks at which base and source do not differ, so that nothing was patched")
    remarks: dict[str, str] = Field(
        default_factory=dict, description="by hook, what was left out there or holds only in part, and why"
    )
    proof: ProofOf
    calibration: CalibratedOn
    zones: Zones
    verdicts: list[SubspaceVerdict]
