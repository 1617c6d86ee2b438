"""The expansion path, the gradient table along it, and replay about it."""
