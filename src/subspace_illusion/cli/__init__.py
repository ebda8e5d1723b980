"""The terminal's commands: they check what was given, in one line, do it, and say what came out."""
