"""Finding a subspace by training and patching along it, on pairs whose activations are known."""
