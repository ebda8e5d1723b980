"""Tasks: what a pair is, the tasks that make pairs (ioi, agreement, facts, pronoun), and what reads tables of pairs."""
