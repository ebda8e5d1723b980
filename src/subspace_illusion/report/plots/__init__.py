"""Pictures, one kind a file: each function takes result tables and gives a matplotlib figure."""
