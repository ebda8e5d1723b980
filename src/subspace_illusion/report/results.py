"""The result tables of a run, read from where the stages left them."""

from collections.abc import Mapping

from subspace_illusion.files import DECOMPOSITIONS, RESULTS, read_json, read_table
from subspace_illusion.report.findings import Tables, Validation
from subspace_illusion.report.verdict import Thresholds, Verdict, judge_all


def read_tables(components: list[str], experiments: Mapping[str, list[str]]) -> Tables:
    """Every table; those by component for the components that the experiment ran for."""

    def validation(name: str) -> Validation:
        folder = RESULTS / "validation" / name
        splits = folder / "splits.csv"
        return Validation(
            read_table(folder / "heads.csv", text=("head",)),
            read_table(folder / "paths.csv"),
            read_table(folder / "probe.csv"),
            read_table(splits) if splits.exists() else None,
        )

    return Tables(
        effects=read_table(RESULTS / "effects.csv"),
        decompositions={name: read_table(DECOMPOSITIONS / name / "summary.parquet") for name in components},
        dormant=read_table(RESULTS / "dormant.csv"),
        validations={name: validation(name) for name in experiments["validation"]},
        random_mlps={name: read_table(RESULTS / "random_mlp" / f"{name}.csv") for name in experiments["random_mlp"]},
        sweeps={name: read_json(RESULTS / "neuron_sweep" / f"{name}.json") for name in experiments["neuron_sweep"]},
        controls={name: read_table(RESULTS / "controls" / f"{name}.csv") for name in experiments["controls"]},
        random_models={name: read_table(RESULTS / "random_model" / f"{name}.csv") for name in experiments["controls"]},
        recovery=read_table(RESULTS / "recovery.csv"),
        signs=read_table(RESULTS / "binary_information.csv"),
    )


def verdicts_by(
    thresholds: Mapping[str, Mapping[str, float | None]], smallest_effect: float, tables: Tables
) -> dict[tuple[str, str], Verdict]:
    """The verdicts by the thresholds of the parameters."""
    return judge_all(tables, {key: Thresholds(**sides) for key, sides in thresholds.items()}, smallest_effect)
