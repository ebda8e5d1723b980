"""Is this the subspace you are looking for? Checks of subspace patching in language models.

One idea a module, and imports point one way: ``errors, seeds, sites`` know nothing; ``prompts, subspaces, measures,
checkpoints`` stand on them; then ``models``, then ``replay``. On that stand the experiments: ``localisation`` (E2),
``training``, ``attribution, readers, paths, probes`` (E3), ``evaluation`` (E4, E6), ``random_mlps`` (E8), ``texts,
recovery`` (E9, E10), ``neurons`` (E11), ``controls`` (E12); beside them ``toy`` (E0), ``decomposition`` (E5) and
``dormant`` (E7), which run no model. Last come ``findings, verdict`` (E13), ``comparison, sections, report`` and
``plots``, which read tables.
"""
