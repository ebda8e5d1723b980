"""Running a model and patching it: sites, tail replay, bases, outcomes. The only package that touches a bridge."""
