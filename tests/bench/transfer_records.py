"""Made-up records of studies of transfer, for the tests of their page and figures."""


def entry(rank=0.9, error=0.5, per_order=0.16, precompute=2.0, verdict="trusted", **changes):
    """Return the entry of an estimator; its calibration orders are ranked as the random ones."""
    low, high = (None, None) if rank is None else (rank - 0.1, min(1.0, rank + 0.05))
    correlation = {"value": rank, "low": low, "high": high, "n": 32}
    return {
        "order_lds": correlation,
        "calibration_order_lds": {**correlation, "n": 24},
        "relative_error": error,
        "raw_relative_error": 2 * error,
        "per_order_retrainings": per_order,
        "precompute_retrainings": precompute,
        "total_retrainings": precompute + 48 * per_order,
        "selection_retrainings": 5.0,
        "bytes": 3e8,
        "coverage": {"value": 0.9, "low": 0.7, "high": 1.0, "n": 32},
        "parameter_error": {"mean": 0.4},
        "verdict": verdict,
        **changes,
    }


def cell(label, growth=0.63, target=None, group="seeds", config=None, **levels):
    """Return the record of a study; the names of `levels` become those of estimators."""
    names = {f"{name}@reference": level for name, level in levels.items()}
    tried = [{"size": size, **level} for size, level in enumerate(names.values(), start=1)]
    ladder = {"estimator": next(iter(names), None), "levels": tried, "selected": len(tried)}
    return {
        "label": label,
        "values": {"group": group},
        **({"target": target} if target else {}),
        "made": {
            "versions": {"python": "3.11", "torch": "2", "transformers": "5"},
            "machine": {"processor": "a processor", "cores": 2},
        },
        "config": config or {"optimizer": {"learning_rate": 2e-3}},
        "parameters": 130_368,
        "steps": 32,
        "retraining_seconds": 4.0,
        "growth": {"value": growth, "low": 0.8 * growth, "high": 1.2 * growth, "n": 3},
        "ladder": ladder if names else None,
        "estimators": {"constant@reference": entry(None, 1.0, 0.0), **names},
    }


def stack(weights, gain=0.02, **changes):
    """Return the comparison of a stack; its gains have an interval of 0.03 on both sides."""
    gains = {"value": gain, "low": gain - 0.03, "high": gain + 0.03, "n": 32}
    scores = {"order_lds": 0.96, "relative_error": 0.2, "coverage": 0.9}
    return {
        "metric": "heldout",
        "set": "all",
        "weights": weights,
        "n": 32,
        "stack": scores,
        "singles": {name: {**scores, "relative_error": 0.25} for name in weights},
        "best": next(iter(weights)),
        "gain_order_lds": gains,
        "gain_relative_error": gains,
        **changes,
    }
