"""Baselines that are fitted on retrained orders: a regression on positions, and a proxy model."""
