"""Import the checkpoints of a `Trainer` of transformers as a record."""
