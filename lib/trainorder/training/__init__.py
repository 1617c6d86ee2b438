"""The model and its losses, the optimizer, and training with `torch.optim`."""
