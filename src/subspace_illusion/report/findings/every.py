"""The findings of a run, one figure each, taken from the result tables: what metrics, terminal and report show."""

from subspace_illusion.errors import InputError
from subspace_illusion.report.findings.checks import of_controls, of_example, of_neurons, of_random_mlps
from subspace_illusion.report.findings.facts import of_facts, of_facts_by_depth
from subspace_illusion.report.findings.finding import Finding
from subspace_illusion.report.findings.readers import of_kept, of_names, of_paths, of_split
from subspace_illusion.report.findings.subspaces import of_clean, of_dormant, of_own, of_parts, of_v_mlp, of_v_true
from subspace_illusion.report.findings.texts import of_recovered, of_signs, of_weights
from subspace_illusion.report.results import Results
from subspace_illusion.subspace.keys import NULL, ROW, TRAINED, SubspaceKey


def findings(results: Results) -> list[Finding]:
    """Every finding of a run, in the order in which one reads them; what was left out has none.

    Raises:
        InputError: If v_mlp has no null part.
    """
    if results.v_mlp is not None:
        v_mlp = SubspaceKey(TRAINED, component=results.v_mlp)
        if not {v_mlp.of_part(ROW), v_mlp.of_part(NULL)} <= set(results.effects):
            raise InputError(
                f"v_mlp is '{results.v_mlp}', an MLP no wider than the residual stream: it has no null part"
            )
    parts = (
        of_example, of_clean, of_v_true, of_v_mlp, of_parts, of_dormant, of_own, of_paths, of_kept, of_split, of_names,
        of_random_mlps, of_neurons, of_controls, of_weights, of_recovered, of_signs, of_facts, of_facts_by_depth,
    )  # fmt: skip
    return [finding for part in parts for finding in part(results)]
