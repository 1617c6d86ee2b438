"""Estimators: one file for each method, or for two methods that share their formulas."""
