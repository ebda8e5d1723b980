"""How sure is a verdict? What it assumes, what it cannot see, and the objections to it, in the run's own figures."""

from collections.abc import Iterator, Mapping

from subspace_illusion.report.results import Results
from subspace_illusion.report.words import fixed, with_ends
from subspace_illusion.subspace.keys import MEAN_DIFFERENCE, TRAINED, SubspaceKey
from subspace_illusion.verdict.calibration import WEAKER, Calibration
from subspace_illusion.verdict.judge import Verdict
from subspace_illusion.verdict.rule import FAITHFUL, ILLUSORY
from subspace_illusion.verdict.sub_scores import LENT, LOST


def sure(
    results: Results, verdicts: Mapping[SubspaceKey, Verdict], calibration: Calibration
) -> Iterator[tuple[str, str]]:
    """Headings with a paragraph each.

    Args:
        results: The results of the run.
        verdicts: By component and subspace.
        calibration: What the planted cases say.
    """
    yield "The component is the unit", _unit(results)
    yield "What it cannot see", cannot_see(calibration)
    yield "Null parts are everywhere", _everywhere(results, verdicts)
    yield "Intuitive explanations would count as illusions too", _intuitive(calibration)


def cannot_see(calibration: Calibration) -> str:
    """What no verdict says, and on what the error rates were not measured: for the report and for an audit's page."""
    kinds = ", ".join(_KINDS.get(kind, kind) for kind in calibration.cases["kind"].unique())
    weaker = calibration.measured_on(WEAKER, ILLUSORY)
    measured = (
        ""
        if weaker is None
        else f"; of {int(weaker['cases'])} that are {ILLUSORY} by how they were made {weaker[FAITHFUL]:.0%} are "
        f"called {FAITHFUL}"
    )
    return (
        "A verdict is on one subspace of one component, at one token, on one set of pairs. If base and source differ "
        "in more than the variable, the patch hands that over too, and the verdict is on the sum. What a component "
        "does at other tokens, and what it would do if others were changed with it, is out of sight. The rule is the "
        "same for planted cases and for all others. The error rates are those of signals that were planted along one "
        f"direction in {kinds} of {calibration.about['model']}, for {calibration.about['tasks']}. For another model or "
        "task, a single head, or a subspace of several dimensions they are a transfer that was not measured. A "
        "direction that moves the answer by less than a third of what the whole residual stream does may repeat what "
        "the component does by itself, whatever it was made to carry. Such cases count in none of these rates"
        f"{measured}. A verdict on such a direction says that it is so weak, and is a hint. No case that counts "
        "strengthens the answer. Scores of fewer than four figures have thresholds of their own, set on "
        "the planted cases that have these figures; of the residual stream there is none, so that verdicts there "
        "borrow those of MLPs."
    )


_KINDS = {"MLP": "MLPs", "random MLP": "random MLPs", "attention": "attention (all heads together)"}
"""The components that signals are planted in, in words."""


def _unit(results: Results) -> str:
    """What E0 says of the unit."""
    text = (
        "Whole, row part and null part are told apart by the matrix that reads this component. Take two components "
        "together, or rotate the basis of one, and another part is null. "
    )
    if results.ran("toy_example"):
        bases = results.json("toy_example/tables.json")["bases"]
        classes = {(row["basis"], row["direction"]): row["class"] for row in bases}
        said = "; ".join(f"{direction} in the {basis} basis is {kind}" for (basis, direction), kind in classes.items())
        text += f"The abstract example (E0) has it in the small: {said}. "
    return text + (
        "A verdict says whether the subspace does what the component does, and it takes for granted that the component "
        "is what one wants to explain the model by."
    )


def _everywhere(results: Results, verdicts: Mapping[SubspaceKey, Verdict]) -> str:
    """Wu et al.'s first objection, and the mean difference and the trained direction of v_mlp beside each other."""
    text = (
        "Wu et al. (arXiv 2401.12631) object that almost every direction of an MLP's hidden activations has a null "
        "part, so that having one makes no illusion. It does not here either: what counts is whether the effect is "
        "lost without it, and whether the component does as much by itself. "
    )
    said = []
    for words, method in (("trained direction", TRAINED), ("mean difference", MEAN_DIFFERENCE)):
        if (verdict := verdicts.get(SubspaceKey(method, component=results.v_mlp or ""))) is not None:
            lent, lost = (verdict.sub_score(name) for name in (LENT, LOST))
            if lent is not None and lost is not None:
                made_of = f"{with_ends(lent)} is lent and {with_ends(lost)} of the effect lost without the null part"
                made_of += ", none by algebra, to first order" if method == MEAN_DIFFERENCE else ""
                said.append(f"of the {words} {made_of}: {verdict.verdict}")
    return text + (f"At {results.v_mlp}, " + "; ".join(said) + "." if said else "")


def _intuitive(calibration: Calibration) -> str:
    """Their second objection, and the planted cases of a component that carries the signal."""
    cases = calibration.cases[calibration.cases["counted"].astype(bool)]
    carried = cases[(cases["truth"] == 0) & (cases["way"] == TRAINED) & cases["kind"].str.contains("MLP")]["score"]
    rest = (
        "Whether such a direction deserves to be called the variable's is a question of words beyond that; Makelov et "
        "al. ask for agreement with the rest of what is known of the circuit, which no score of one subspace replaces."
    )
    if carried.empty:
        return rest
    return (
        "They also object that by the illusion's definition directions of a true mechanism would be illusions. Planted "
        "cases show how far: of MLPs that were made to carry the signal, trained directions score from "
        f"{fixed(carried.min())} to {fixed(carried.max())}, with a median of {fixed(carried.median())}: they still "
        f"take some of their variation from a null part, and are seldom near zero. {rest}"
    )
