"""Draws the pictures and writes the headline figures to results/ and the terminal."""

import pandas as pd

from common.files import (
    DECOMPOSITIONS,
    FIGURES,
    RESULTS,
    SUBSPACES,
    read_json,
    read_table,
    whole,
    whole_folder,
    write_json,
    write_table,
)  # fmt: skip
from common.stage import run, say
from subspace_illusion.headline import as_metrics, as_text, headline
from subspace_illusion.localisation import Window
from subspace_illusion.measures import POOLED
from subspace_illusion.plots import effects_figure, localisation_figure, projections_figure, training_figure


def main(params) -> None:
    names = list(params.components)
    say(f"drawing {4 + len(names)} pictures and writing the headline figures, a few seconds")
    effects = read_table(RESULTS / "effects.csv")
    localisation = read_table(RESULTS / "localisation.csv")
    window = read_json(RESULTS / "window.json")
    summaries = {name: read_table(DECOMPOSITIONS / name / "summary.parquet") for name in names}
    curves = {name: read_table(SUBSPACES / name / "curve.parquet") for name in names}
    figures = headline(effects, summaries, params.roles.v_true, params.roles.v_mlp)
    pictures = {
        "localisation": localisation_figure(localisation, Window(window["writes"], window["reads"], window["mlps"])),
        "effects": effects_figure(effects, names),
        "headline": effects_figure(effects, [params.roles.v_true, params.roles.v_mlp]),
        "training": training_figure(curves),
    }
    for name in names:
        projections = read_table(DECOMPOSITIONS / name / "projections.parquet")
        pictures[f"projections_{name}"] = projections_figure(
            projections[projections["seed"] == projections["seed"].min()], name
        )
    with whole_folder(FIGURES) as folder:
        for name, picture in pictures.items():
            picture.savefig(folder / f"{name}.png", dpi=params.plots.dpi, metadata={"Software": None})
    decomposition = pd.concat([summary.assign(component=name) for name, summary in summaries.items()])
    write_table(RESULTS / "decomposition.csv", decomposition.set_index("component").round(6).reset_index())
    # For dvc plots: one line a kind of component, one bar a subspace.
    layers = localisation[localisation["kind"] != "head"].pivot(index="block", columns="kind", values="effect")
    write_table(RESULTS / "layers.csv", layers.reset_index())
    bars = effects[effects["seed"] == POOLED]
    write_table(
        RESULTS / "bars.csv",
        pd.DataFrame(dict(subspace=bars["component"] + ": " + bars["subspace"], effect=bars["effect"])),
    )
    write_json(RESULTS / "metrics.json", as_metrics(figures))
    text = as_text(figures)
    with whole(RESULTS / "headline.txt") as partial:
        partial.write_text(
            f"{text}\n\nv_true is {params.roles.v_true}, v_mlp is {params.roles.v_mlp}; every component is in "
            f"{RESULTS}/effects.csv, the pictures are in {FIGURES}/.\n",
            encoding="utf-8",
        )
    say(text)


if __name__ == "__main__":
    run(main, __doc__, reads=("components", "roles", "plots"))
