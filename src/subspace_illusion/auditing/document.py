"""``verdict.json``: what an audit found, for programs. ``schema.json`` beside this file is its JSON schema."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from subspace_illusion.verdict.judge import Caution
from subspace_illusion.verdict.rule import Reason

Format = Literal["subspace-illusion/verdict/1"]
FORMAT: Format = "subspace-illusion/verdict/1"
"""The form of the document; another number means that a program has to be changed to read it."""


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Figure(Part):
    """A figure; ``low`` and ``high`` are its 95 % interval over groups of pairs, where it has one."""

    value: float
    low: float | None = None
    high: float | None = None


class Zones(Part):
    """Where verdicts lie: faithful up to the one score, illusory from the other on."""

    faithful_up_to: float
    illusory_from: float


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
        description="in what the subspace is unlike the planted cases behind the error rates"
    )
    effect: Figure = Field(
        description="logit difference lost, as a share of the clean one, on pairs held out from DAS, the mean "
        "difference and the readers; a direction of yours may have been fitted on them"
    )
    whole_component: Figure = Field(description="the same of patching the whole component")
    score: Figure | None
    sub_scores: dict[str, Figure]
    zones: Zones | None
    p_effect: float = Field(description="that the effect is no larger than the smallest that is judged")
    p_score: float = Field(description="that the score is not beyond the zone that it seems beyond")


class ProofOf(Part):
    """What was off, at most, where nothing may be, in logits."""

    replay: float = Field(description="a replayed patch against a full forward pass with the component set")
    self_patch: float = Field(description="LD with the component set to what was read of it")
    null_part: float | None = Field(description="LD with all patched that the readout maps to zero")
    allowed: float


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
    source: dict[str, Any] = Field(description="file and sha256, where the pairs are from a file")


class CalibratedOn(Part):
    """The planted cases that the zones are from."""

    model: str
    tasks: str
    sha256: str = Field(description="of calibration.json")


class Document(Part):
    """What an audit found."""

    format: Format
    versions: dict[str, str]
    model: dict[str, Any] = Field(description="architecture, size, and path and sha256 of the weights where known")
    pairs: PairCounts
    settings: dict[str, Any]
    notes: dict[str, str] = Field(description="by the label of each subspace of yours, what was done to make a basis")
    left_out: list[str] = Field(description="hooks at which base and source do not differ, so that nothing was patched")
    proof: ProofOf
    calibration: CalibratedOn
    verdicts: list[SubspaceVerdict]
