"""Fitted baselines: regression on positions, and a narrower proxy model."""
