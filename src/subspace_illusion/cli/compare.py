"""How do two audits, or two runs of the pipeline, differ? Differences of effects on the same pairs, with intervals.

A and B are folders of audits; or runs of the pipeline: experiments (dvc exp show), git revisions, or . for the run in
this folder. What is compared are all subspaces that both have; or one of each, as A#component:subspace, such as
my-audit#blocks.20.mlp.hook_post:mine, or .#mlp20:trained.
"""




HERE = "."
SAME_LD = 0.01
"""Clean logit differences of one prompt that differ by no more are of one model: machines round differently."""
