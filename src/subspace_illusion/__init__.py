"""Is this the subspace you are looking for? Checks of subspace patching in language models.

One idea a module, and imports point one way: ``errors, seeds, sites`` know nothing; ``prompts, subspaces, measures,
checkpoints`` stand on them; then ``models``, then ``replay``; on that ``training, localisation, evaluation``; beside
them ``decomposition``, which runs no model; last ``headline`` and ``plots``, which read tables.
"""
