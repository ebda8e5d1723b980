"""The terminal's commands: they write a parameter set, run it as a DVC experiment, and say what came out."""
