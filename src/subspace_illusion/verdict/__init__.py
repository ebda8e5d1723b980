"""The score of a subspace, its calibration, and the rule that judges."""
