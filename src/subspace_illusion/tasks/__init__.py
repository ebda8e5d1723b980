"""Tasks: what a pair is, and one file for each task that makes pairs."""
