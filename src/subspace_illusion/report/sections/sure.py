"""How sure is a verdict? What it assumes, what it cannot see, and the objections to it, in the run's own figures."""

from collections.abc import Iterator, Mapping

from subspace_illusion.report.results import Results
from subspace_illusion.report.sections.calibration import errors_by_kind
from subspace_illusion.report.words import fixed, with_ends
from subspace_illusion.subspace.keys import MEAN_DIFFERENCE, TRAINED, SubspaceKey
from subspace_illusion.verdict.calibration import Calibration
from subspace_illusion.verdict.held_out import HIGH, LOW
from subspace_illusion.verdict.judge import Verdict
from subspace_illusion.verdict.known import BY_ITSELF


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
    """What no verdict says, and what no planted case tells: for the report and for an audit's page."""
    return (
        "A verdict is on one subspace of one component, at one token, on one set of pairs. If base and source differ "
        "in more than the variable, the patch hands that over too, and the verdict is on the sum. What a component "
        "does at other tokens, and what it would do if others were changed with it, is out of sight. Planted signals "
        f"run along one direction, in {' and '.join(calibration.models)}, for {' and '.join(calibration.tasks)}; "
        "planes of two are among the subspaces that were tried, and nothing larger. How the estimate carries over to "
        "another model was measured by leaving each of these out, and no other task or model stands behind it. A "
        f"component that does by itself more than {BY_ITSELF:g} of what the signal adds, or of the effect, to either "
        "side, has mediators of its own, and such cases were not counted. An interval promises its level, less than "
        f"90 % where it is from few blocks. {_by_place(calibration)}"
    )


def _by_place(calibration: Calibration) -> str:
    """How good the estimate is by kind of place."""
    errors = ", ".join(f"{fixed(error)} ({kind})" for kind, error in errors_by_kind(calibration).items())
    return (
        "The median error of the estimate differs with the kind of place, on the model where it is larger: "
        f"{errors}. In the residual stream much of "
        "what a component holds is inert, so that it is harder to tell there."
    )


def _unit(results: Results) -> str:
    """What E0 says of the unit."""
    text = (
        "What a component hands on, and what nothing reads of it, depends on where it ends. Take two components "
        "together, or rotate the basis of one, and another part is null. "
    )
    if results.ran("toy_example"):
        bases = results.json("toy_example/tables.json")["bases"]
        text += "The abstract example (E0) has it in the small. "
        for basis in dict.fromkeys(row["basis"] for row in bases):
            said = "; ".join(f"{row['direction']} is {row['class']}" for row in bases if row["basis"] == basis)
            text += f"In the {basis} basis {said}. "
    return text + "A verdict takes for granted that the component is what one wants to explain the model by."


def _everywhere(results: Results, verdicts: Mapping[SubspaceKey, Verdict]) -> str:
    """Wu et al.'s first objection, and the mean difference and the trained direction of v_mlp beside each other."""
    text = (
        "Wu et al. (arXiv 2401.12631) object that almost every direction of an MLP's hidden activations has a null "
        "part, so that having one makes no illusion. It does not here either: no null part is asked for, only how much "
        "of the effect the component's own difference gives. "
    )
    said = []
    for words, method in (("trained direction", TRAINED), ("mean difference", MEAN_DIFFERENCE)):
        verdict = verdicts.get(SubspaceKey(method, component=results.v_mlp or ""))
        if verdict is not None and verdict.share is not None:
            said.append(f"of the {words} that is an estimated {with_ends(verdict.share)}: {verdict.verdict}")
    return text + (f"At {results.v_mlp}, {'; '.join(said)}." if said else "")


def _intuitive(calibration: Calibration) -> str:
    """Their second objection, and how many planted cases are in between."""
    truth = calibration.planted.cases["truth"]
    low, high = (truth <= LOW).mean(), (truth >= HIGH).mean()
    return (
        "They also object that by the illusion's definition directions of a true mechanism would be illusions. To be "
        f"one is a matter of degree: of {len(truth)} planted cases {low:.0%} have a mediated share up to {LOW:g} and "
        f"{high:.0%} one from {HIGH:g} on; the others, {1 - low - high:.0%}, do both. Whether such a direction "
        "deserves to be called the variable's is a question of words beyond that; Makelov et al. ask for agreement "
        "with the rest of what is known of the circuit, which no figure of one subspace replaces."
    )
