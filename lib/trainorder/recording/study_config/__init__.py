"""The configuration of a study of a record."""
