"""Baselines that are fitted on retrained orders: on positions, by simfluence, by a proxy model."""
