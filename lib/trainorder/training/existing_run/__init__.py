"""A user's own run in place of the reference training: its checkpoints and their verification."""
