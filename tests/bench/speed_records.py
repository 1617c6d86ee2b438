"""A made-up record of the speed."""

MEASURED = {
    "study": "default", "parameters": 345_696, "steps": 32, "units": 32, "sequences_per_unit": 8,
    "threads": 1, "peak_bytes": 500_000_000,
    "gradients": {
        "training_units_per_second": 20.0, "table_units_per_second": 19.0,
        "written_units_per_second": 17.0, "ratio": 0.95, "written_ratio": 0.85,
        "retraining_seconds": 1.6,
    },
    "replay": {
        "orders": 32, "copy_bytes_per_second": 1e10, "matmul_flops_per_second": 3e10,
        "order0": {"bytes_per_second": 5e9, "of_bandwidth": 0.5},
        "nystrom": {"bytes_per_second": 4e9, "of_bandwidth": 0.4, "of_matmul": 0.8},
    },
    "parts": {
        "orders": 8, "selected": "corrected-runs24@reference", "size": 4, "runs": 24,
        "estimators": {
            "corrected-runs24@reference": {
                "seconds": {"replay": 8.0, "gradients": 4.0, "reading": 1.6, "arithmetic": 2.4},
                "sequences": 1024, "file_bytes": 500_000_000,
            },
            "nystrom@barycentre": {
                "seconds": {"replay": 2.0, "gradients": 1e-6, "reading": 0.5, "arithmetic": 1.5},
                "sequences": 0, "file_bytes": 20_000_000,
            },
        },
    },
    "reduced": {"threads": 2, "schedules_per_second": 6000.0},
    "profile": {
        "gradients": [{"operator": "aten::mm", "share": 0.5, "calls": 90}],
        "nystrom": [{"operator": "aten::addmm", "share": 0.7, "calls": 64}],
    },
}  # fmt: skip

RECORD = {
    "made": {
        "versions": {"python": "3.11", "torch": "2", "transformers": "5"},
        "machine": {"processor": "a processor", "cores": 2},
    },
    "config": {"seeds": {"init": 0}},
    "measured": MEASURED,
}
