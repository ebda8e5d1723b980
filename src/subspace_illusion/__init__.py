"""Is this the subspace you are looking for? A reproducible check of subspace patching in language models.

Rooms, each importing only from those before it: ``errors`` and ``files``; ``core`` gets a model, runs it
and patches it; ``statistics``; ``tasks``; ``subspace`` trains and patches on pairs;
``experiments``, one file each; ``report``; ``pipeline``.
"""
