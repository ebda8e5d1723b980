"""The ways of choosing a subspace of a component, by the names that tables and pictures use."""

TRAINED = "trained"
MEAN_DIFFERENCE = "mean difference"
LENT = "lent by the null part"
OWN = "inside the row space"
"""The two halves of what patching a trained subspace does: what the coordinates along the null part add through the
row part, and what the coordinates along the row part do themselves."""
ROW = "row part"
NULL = "null part"
BOTH = "span of both"
MEAN_ROW = "row part of the mean difference"
RANDOM = "random"
WHOLE = "whole component"
WAYS = (WHOLE, TRAINED, LENT, OWN, ROW, NULL, BOTH, MEAN_DIFFERENCE, MEAN_ROW, RANDOM)
"""The ways of choosing a subspace of a component, in the order in which tables and pictures show them."""
