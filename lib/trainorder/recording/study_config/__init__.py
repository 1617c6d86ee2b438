"""The configuration of a study of a record: its window, and what fits it."""
