"""From result tables to what people read: findings, verdicts, comparison, pictures, pages."""
