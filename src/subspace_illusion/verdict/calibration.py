"""What planted cases say: the intervals that verdicts rest on, and how good they were on what was left out (E13)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from subspace_illusion.verdict.evidence import compared
from subspace_illusion.verdict.held_out import goals, is_held
from subspace_illusion.verdict.intervals import COLUMNS, HELD, Intervals


@dataclass(frozen=True)
class Calibration:
    """What planted cases say.

    Attributes:
        planted: The intervals from all of them.
        digests: sha256 of the weights of the models that they were planted in, by what the cases call them.
        held_out: What is reached on the cases of each model with all of its own left out, by kind of place: columns
            ``model, kind`` and those of ``held_out.goals``.
        places: The same by place: columns ``model, place, kind`` and those.
        pooled: The same of all of them together, one row.
        evidence: The median error of the estimate, its ingredients and the evidence in common use, as
            ``evidence.compared`` gives it.
    """

    planted: Intervals
    digests: Mapping[str, str]
    held_out: pd.DataFrame
    places: pd.DataFrame
    pooled: Mapping[str, float]
    evidence: pd.DataFrame

    @classmethod
    def measured(cls, by_model: pd.DataFrame, digests: Mapping[str, str]) -> "Calibration":
        """That of all cases.

        Args:
            by_model: What ``held_out.left_out`` gives, each model left out in turn.
            digests: As the attribute.
        """
        pooled = goals(by_model.assign(all="all"), ["all"]).drop(columns="all").iloc[0].to_dict()
        held = is_held(by_model).astype(float).where(by_model["level"] > 0)
        planted = Intervals(by_model.assign(**{HELD: held}))
        by_kind, by_place = (goals(by_model, ["model", *keys]) for keys in (["kind"], ["place", "kind"]))
        return cls(planted, digests, by_kind, by_place, pooled, compared(by_model))

    def name_of(self, digest: str | None) -> str | None:
        """What the cases call the model with these weights; ``None`` where none are in it."""
        return next((name for name, known in self.digests.items() if known == digest), None)

    @property
    def models(self) -> list[str]:
        """The models that cases were planted in."""
        return self.planted.cases["model"].unique().tolist()

    @property
    def tasks(self) -> list[str]:
        """The tasks whose signals were planted."""
        return self.planted.cases["task"].unique().tolist()

    def to_json(self) -> dict[str, Any]:
        """As values of JSON, from which ``from_json`` makes it again."""
        shown = self.planted.cases[[*COLUMNS, HELD]].round(4)
        return dict(
            digests=dict(self.digests),
            pooled={name: _plain(value) for name, value in self.pooled.items()},
            held_out=_columns(self.held_out),
            places=_columns(self.places),
            evidence=_columns(self.evidence),
            cases=_columns(shown),
        )

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> "Calibration":
        """What ``to_json`` gave.

        Raises:
            KeyError: If it is none.
        """
        held_out, places, evidence = (pd.DataFrame(given[name]) for name in ("held_out", "places", "evidence"))
        cases = pd.DataFrame({name: given["cases"][name] for name in (*COLUMNS, HELD)}).astype({HELD: float})
        return cls(Intervals(cases), given["digests"], held_out, places, given["pooled"], evidence)


def _columns(table: pd.DataFrame) -> dict[str, list[Any]]:
    return {name: [_plain(value) for value in table[name].tolist()] for name in table}


def _plain(value: Any) -> Any:
    """A value of JSON, which knows no NaN."""
    return None if pd.isna(value) else value
