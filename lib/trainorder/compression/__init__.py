"""Ways to keep the gradient table in fewer bytes, one codec per file, and their comparison."""
