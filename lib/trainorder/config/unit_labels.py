"""Labels of units that belong to no domain; no domain may have one of these names."""

MIXED = "mixed"  # of units that mix domains
POISONED = "poisoned"  # of units of which a part is random tokens
LABELS = (MIXED, POISONED)
