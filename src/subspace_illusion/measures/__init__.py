"""What is asked of a subspace."""
