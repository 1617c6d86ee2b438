"""Curricula: searches for orders with the estimates, and checks the best ones by retraining."""
