"""E3 c: whether the projection tells the names apart."""

from collections.abc import Iterator

import pandas as pd

from subspace_illusion.experiments.tell_names import SIGNIFICANT
from subspace_illusion.report.plots.tell_names import tell_names_figure
from subspace_illusion.report.results import Results
from subspace_illusion.report.section import Grid, Picture, Section, in_words
from subspace_illusion.statistics import POOLED
from subspace_illusion.subspace.ways import RANDOM, TRAINED


def section(results: Results) -> Iterator[Section]:
    """Every component: names in the projections, once the position is taken out."""
    for name in results.experiments["tell_names"]:
        table = results.table(f"tell_names/{name}.csv", text=("seed",))
        pooled = table[table["seed"] == POOLED]
        yield Section(
            f"E3  Does the projection at {name} tell the names apart?",
            "With the position taken out, is there anything left in the projection that depends on the names?",
            "The mean over the prompts of a sentence with S in the same place is taken off the projection of each, "
            "all held out. An analysis of variance across names asks whether what is left differs between names; omega "
            "squared is the share of it that the names explain, less what they would by chance, and p comes from "
            "giving the names of a case to another case of its sentence. Left by the position is the share of the "
            "projection's variance that remains at all. The product of the two is the names' share of the whole "
            "variance, if anything too much of it, since the two prompts with the same names are averaged before. "
            "For random directions medians stand in the table. "
            + " ".join(_said(pooled, which) for which in _names(pooled)),
            [
                Picture(
                    f"tell_names__{name}",
                    f"Share of the variance of projections at {name} that the names explain, of what the position "
                    "leaves and of the whole",
                    tell_names_figure(pooled),
                )
            ],
            [_grid(pooled)],
        )


def _names(pooled: pd.DataFrame) -> list[str]:
    return list(dict.fromkeys(pooled["name"]))


def _said(pooled: pd.DataFrame, which: str) -> str:
    """What the table shows for one of the two names."""
    rows = pooled[pooled["name"] == which].set_index("subspace").to_dict("index")
    trained, random = rows[TRAINED], rows[RANDOM]
    if pd.isna(trained["p"]):
        return f"{which}: no name comes often enough to tell."
    if trained["p"] < SIGNIFICANT:
        found = f"{which}: the projection on the trained direction does tell the names apart ({_p(trained['p'])}), but "
        found = found if _whole(trained) < 0.5 else found.removesuffix("but ") + "and "
        found += f"what the names explain is {_whole(trained):.2%} of its whole variance"
    else:
        found = f"{which}: that the projection on the trained direction tells the names apart is not shown "
        found += f"({_p(trained['p'])}; what the names explain is {_whole(trained):.2%} of its whole variance)"
    return (
        f"{found}. Of {random['directions']} random directions {random['share_told']:.0%} tell them apart, and the "
        f"names explain {_whole(random):.2%} of their variance."
    )


def _whole(row: dict) -> float:
    """The names' share of the whole variance; what is below chance counts as nothing."""
    return max(0.0, row["omega_squared"]) * row["left"]


def _p(p: float) -> str:
    return "p < 0.001" if p < 0.0005 else f"p = {p:.3f}"


def _grid(pooled: pd.DataFrame) -> Grid:
    """Every direction and name."""
    rows = []
    for row in pooled.to_dict("records"):
        p = "" if pd.isna(row["p"]) else _p(row["p"]).removeprefix("p ").removeprefix("= ")
        told = in_words(row["share_told"]) if row["subspace"] == RANDOM else ""
        count = str(row["directions"])
        rows.append([row["subspace"], row["name"], count, in_words(row["f"]), in_words(row["omega_squared"]), p, told])
        whole = float("nan") if pd.isna(row["omega_squared"]) else _whole(row)
        rows[-1] += [in_words(row["left"]), in_words(whole)]
    header = ["direction", "name", "directions", "F", "omega squared", "p", f"share with p < {SIGNIFICANT:g}"]
    return Grid([*header, "share of variance left by the position", "names' share of the whole variance"], rows)
