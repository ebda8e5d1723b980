"""Running a model and patching it: sites, tail replay, frames, outcomes. The only package that touches a bridge."""
