"""The learning problem, its optimizer, and real training with `torch.optim`."""
