"""The report's sections, one module an experiment."""
