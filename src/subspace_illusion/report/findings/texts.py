"""What MLPs keep of the residual stream on ordinary text (E9, E10)."""

from collections.abc import Iterator, Sequence

from subspace_illusion.report.findings.finding import Finding, over
from subspace_illusion.report.results import Results
from subspace_illusion.statistics import Estimate


def of_weights(results: Results) -> Iterator[Finding]:
    """The ranks of the MLPs' weights."""
    if results.ran("compare_mlps"):
        ranks = results.table("text/compare_mlps_ranks.csv")
        for name, words in dict(in_="W_in", out="W_out").items():
            shares = (ranks[f"rank_{words}"] / ranks["possible"]).tolist()
            yield from over(
                f"weights.rank_{name.rstrip('_')}", f"counted rank of the MLPs' {words} / full rank", shares, "blocks"
            )


def _levels(texts: Sequence[str]) -> dict[str, str]:
    """The level that a text's findings have in their keys: the first has none, and stands beside published figures."""
    return {text: f"{text}." if i else "" for i, text in enumerate(texts)}


def of_recovered(results: Results) -> Iterator[Finding]:
    """What MLPs keep of the residual stream: random directions (E9)."""
    for text, level in _levels(results.ran("recover_directions")).items():
        recovered = results.table(f"text/recover_directions/{text}.csv")
        by_block = recovered.groupby("block")[["r2", "mse"]].mean()
        for name, words in dict(r2="R2", mse="standardised MSE").items():
            yield from over(
                f"recovery.{level}{name}",
                f"{words}, random directions recovered from MLPs, text: {text}",
                by_block[name].tolist(),
                "blocks",
            )
            spread = Estimate(float(recovered[name].std()))
            said = f"{words}, random directions recovered from MLPs, text: {text}: standard deviation over all of them"
            yield Finding(f"recovery.{level}{name}_sd", said, spread)
        largest = Estimate(float(recovered["p"].max()))
        said = f"largest permutation p, random directions recovered from MLPs, text: {text}"
        yield Finding(f"recovery.{level}p", said, largest)
        above = (recovered["p"] <= 1 / recovered["permutations"]).mean()
        words = f"share of random directions recovered better than from any permuted targets, text: {text}"
        yield Finding(f"recovery.{level}above_chance", words, Estimate(float(above)))


def of_signs(results: Results) -> Iterator[Finding]:
    """What MLPs keep of the residual stream: signs of a small vector (E10)."""
    for text, level in _levels(results.ran("read_signs")).items():
        for z, rows in results.table(f"text/read_signs/{text}.csv").groupby("z"):
            by_block = rows.groupby("block")["accuracy"].mean().tolist()
            key = f"signs.{level}z{z:g}".replace("0.", "0_")
            yield from over(key, f"accuracy of reading a sign of size z = {z:g}, text: {text}", by_block, "blocks")
