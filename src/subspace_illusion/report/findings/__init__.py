"""The findings of a run, by what they are of."""
