"""One file an experiment of the post: functions that return tables, which a stage writes."""
