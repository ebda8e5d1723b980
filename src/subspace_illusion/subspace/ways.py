"""The ways of choosing a subspace of a component, by the names that tables and pictures use."""

TRAINED = "trained"
MEAN_DIFFERENCE = "mean difference"
ROW = "row part"
NULL = "null part"
BOTH = "span of both"
MEAN_ROW = "row part of the mean difference"
RANDOM = "random"
WHOLE = "whole component"
WAYS = (WHOLE, TRAINED, ROW, NULL, BOTH, MEAN_DIFFERENCE, RANDOM)
"""The ways of choosing a subspace of a component, in the order in which tables and pictures show them."""
