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
