"""Every picture of the report, by the name of its file."""

from collections.abc import Iterator

from matplotlib.figure import Figure
from pandas import DataFrame

from subspace_illusion.experiments.localise import Window
from subspace_illusion.files import DECOMPOSITIONS, RESULTS, SUBSPACES, WRITTEN, read_json, read_table
from subspace_illusion.report.findings import Tables
from subspace_illusion.report.plots.controls import controls_figure
from subspace_illusion.report.plots.dormant import dormant_figure
from subspace_illusion.report.plots.effects import effects_figure
from subspace_illusion.report.plots.localisation import localisation_figure
from subspace_illusion.report.plots.projections import projections_figure
from subspace_illusion.report.plots.recovery import ranks_figure, recovery_figure, signs_figure
from subspace_illusion.report.plots.sweeps import neurons_figure, random_mlp_figure
from subspace_illusion.report.plots.toy import toy_figure
from subspace_illusion.report.plots.training import training_figure
from subspace_illusion.report.plots.validation import heads_figure, paths_figure, probe_figure, splits_figure
from subspace_illusion.report.plots.verdict import verdict_figure
from subspace_illusion.subspace.ways import TRAINED


def draw(tables: Tables, v_true: str, v_mlp: str) -> Iterator[tuple[str, Figure]]:
    """Draws one after the other; what belongs to one component has the component's name behind two underscores."""
    components = list(tables.decompositions)
    window = read_json(RESULTS / "window.json")
    yield "toy", toy_figure(DataFrame(read_json(RESULTS / "toy_example.json")["patches"]))
    yield (
        "localisation",
        localisation_figure(
            read_table(RESULTS / "localisation.csv"), Window(window["writes"], window["reads"], window["mlps"])
        ),
    )
    yield "headline", effects_figure(tables.effects, [v_true, v_mlp])
    yield "effects", effects_figure(tables.effects, components)
    yield "training", training_figure({name: read_table(SUBSPACES / name / "curve.parquet") for name in components})
    yield "dormant", dormant_figure(read_table(WRITTEN), list(dict.fromkeys(tables.dormant["component"])), TRAINED)
    yield "recovery", recovery_figure(read_table(RESULTS / "recovery.csv"))
    yield "signs", signs_figure(read_table(RESULTS / "binary_information.csv"))
    yield "ranks", ranks_figure(read_table(RESULTS / "ranks.csv"))
    yield "verdict", verdict_figure(read_table(RESULTS / "verdicts.csv"))
    for name in components:
        projections = read_table(DECOMPOSITIONS / name / "projections.parquet")
        first = projections[projections["seed"] == projections["seed"].min()]
        yield f"projections__{name}", projections_figure(first, name)
    if tables.validations:
        names = list(tables.validations)
        yield "paths", paths_figure({name: tables.validations[name].paths for name in names}, names)
    for name, validation in tables.validations.items():
        yield f"heads__{name}", heads_figure(validation.heads, name)
        yield f"probe__{name}", probe_figure(validation.probe)
        if validation.splits is not None:
            yield f"splits__{name}", splits_figure(validation.splits)
    for name, table in tables.random_mlps.items():
        yield f"random_mlp__{name}", random_mlp_figure(table, tables.effects, name)
    for name, fit in tables.sweeps.items():
        yield f"neurons__{name}", neurons_figure(read_table(RESULTS / "neuron_sweep" / f"{name}.csv"), fit, name)
    for name in tables.controls:
        yield f"controls__{name}", controls_figure(tables.every_control(name), name)
