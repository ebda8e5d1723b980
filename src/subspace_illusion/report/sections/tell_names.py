"""E3 c: whether the projection tells the names apart."""

from collections.abc import Iterator

import pandas as pd

from subspace_illusion.experiments.tell_names import ALIKE, SIGNIFICANT
from subspace_illusion.report.plots.tell_names import tell_names_figure
from subspace_illusion.report.results import Results
from subspace_illusion.report.section import Grid, Picture, Section, in_words
from subspace_illusion.report.words import shown
from subspace_illusion.statistics import p_in_words
from subspace_illusion.subspace.keys import POOLED, RANDOM, TRAINED, SubspaceKey, with_keys


def section(results: Results) -> Iterator[Section]:
    """Every component: names in the projections, once the place of S is taken out."""
    for component in results.ran("tell_names"):
        table = with_keys(results.table(f"tell_names/{component}.csv", text=("seed",)))
        pooled = table[table["seed"] == POOLED]
        yield Section(
            f"E3  Does the projection at {component} tell the names apart?",
            "With the place of S taken out, is there anything left in the projection that depends on the names?",
            _answer(pooled),
            "The mean over the prompts of a sentence with S in the same place is taken off the projection of each, "
            "all held out. An analysis of variance across names asks whether what is left differs between names; omega "
            "squared is the share of it that the names explain, less what they would by chance, and p comes from "
            "giving the names of a case to another case of its sentence. A set of names has two prompts, with S first "
            "and second: names can shift both alike (the mean of the two) or apart (half of their difference), and "
            "both halves are asked. Left by the place of S is the share of the projection's variance that such a half "
            "is; its product with omega squared is the names' share of the whole variance. For random directions "
            "medians stand in the table. "
            + " ".join(_said(pooled, *which) for which in pooled.groupby(["half", "name"], sort=False).groups),
            [
                Picture(
                    f"tell_names__{component}",
                    f"Share of the variance of projections at {component} that the names explain, alike in both "
                    "positions, of what the place of S leaves and of the whole",
                    tell_names_figure(pooled[pooled["half"] == ALIKE]),
                )
            ],
            [_grid(pooled)],
        )


def _answer(pooled: pd.DataFrame) -> str:
    """The most that names explain of the trained direction's projection."""
    rows = pooled[pooled["subspace"] == SubspaceKey(TRAINED)].dropna(subset=["p"]).to_dict("records")
    if not rows:
        return "No name comes often enough to tell."
    told = [f"{row['name']}, {row['half']}" for row in rows if row["p"] < SIGNIFICANT]
    found = f"It tells them apart somewhere ({'; '.join(told)})" if told else "That it tells them apart is not shown"
    return f"{found}, and names explain {in_words(max(map(_whole, rows)))} of its whole variance at most."


def _said(pooled: pd.DataFrame, half: str, name: str) -> str:
    """What the table shows for one half and one of the two names."""
    here = pooled[(pooled["name"] == name) & (pooled["half"] == half)]
    rows = {row["subspace"]: row for row in here.to_dict("records")}
    trained, random = rows[SubspaceKey(TRAINED)], rows[SubspaceKey(RANDOM)]
    which = f"{name}, {half}"
    if pd.isna(trained["p"]):
        return f"{which}: no name comes often enough to tell."
    if trained["p"] < SIGNIFICANT:
        found = f"{which}: the projection on the trained direction does tell the names apart ({_p(trained)}), but "
        found = found if _whole(trained) < 0.5 else found.removesuffix("but ") + "and "
        found += f"what the names explain is {in_words(_whole(trained))} of its whole variance"
    else:
        found = f"{which}: that the projection on the trained direction tells the names apart is not shown "
        found += f"({_p(trained)}; what the names explain is {in_words(_whole(trained))} of its whole variance)"
    return (
        f"{found}. Of {random['directions']} random directions a share of {in_words(random['share_told'])} tells them "
        "apart, and the "
        f"names explain {in_words(_whole(random))} of their variance."
    )


def _whole(row: dict) -> float:
    """The names' share of the whole variance; what is below chance counts as nothing."""
    return max(0.0, row["omega_squared"]) * row["left"]


def _p(row: dict) -> str:
    words = p_in_words(row["p"], int(row["permutations"]))
    return f"p {words}" if words.startswith("<") else f"p = {words}"


def _grid(pooled: pd.DataFrame) -> Grid:
    """Every direction and name."""
    rows = []
    for row in pooled.to_dict("records"):
        p = "" if pd.isna(row["p"]) else _p(row).removeprefix("p ").removeprefix("= ")
        told = in_words(row["share_told"]) if row["subspace"].method == RANDOM else ""
        figures = [in_words(row[figure]) for figure in ("f", "omega_squared")]
        whole = float("nan") if pd.isna(row["omega_squared"]) else _whole(row)
        about = [shown(row["subspace"]), row["half"], row["name"], str(row["directions"])]
        rows.append([*about, *figures, p, told, in_words(row["left"]), in_words(whole)])
    header = ["direction", "names shift the prompts", "name", "directions", "F", "omega squared", "p"]
    shares = ["share of variance left by the place of S", "names' share of the whole variance"]
    return Grid([*header, f"share with p < {SIGNIFICANT:g}", *shares], rows)
