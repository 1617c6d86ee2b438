"""Outcomes of orders, true and estimated; scores, intervals, verdicts and result files."""
