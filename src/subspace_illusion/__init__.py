"""Is this the subspace you are looking for? Checks of subspace patching in language models.

One idea a module, and imports point one way:
``errors, seeds -> sites, prompts, subspaces, measures -> models -> replay -> training, localisation -> plots``.
"""
