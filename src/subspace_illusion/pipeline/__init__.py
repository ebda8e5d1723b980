"""What every stage needs and no result depends on: parameters, progress, one-line errors."""
