"""An existing training run as the reference: its checkpoints and their verification."""
