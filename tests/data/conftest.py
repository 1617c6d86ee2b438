import json
from pathlib import Path

import numpy as np
import pytest

from trainorder.config.sections.corpus import CorpusConfig
from trainorder.config.sections.window import WindowConfig

WORDS = {
    domain: line.split()
    for domain, line in (
        ("sea", "tide wave salt foam gull mast keel reef harbour anchor current drift"),
        ("hill", "stone crag moss path pine goat cairn summit valley slope brook fern"),
        ("town", "street lamp market bell tower bridge window baker carriage square door roof"),
    )
}


def sentences(domain: str, rng: np.random.Generator, words: int) -> str:
    chosen = rng.choice(WORDS[domain], size=words)
    numbers = rng.integers(0, 10_000, size=words)  # so that no two passages are equal
    return " ".join(f"{word} {number}" for word, number in zip(chosen, numbers, strict=True))


def write_rows(path: Path, documents: int = 60, words: int = 60) -> Path:
    rng = np.random.default_rng(1)
    rows = [
        {"text": sentences(domain, rng, words), "domain": domain}
        for _ in range(documents)
        for domain in WORDS
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def window() -> WindowConfig:
    return WindowConfig(
        warmup_steps=5, units=7, unit_size=2, units_per_step=1, epochs=1, mixed_fraction=0.3
    )


@pytest.fixture
def config(tmp_path: Path) -> CorpusConfig:
    return CorpusConfig(
        source="files",
        files=[str(write_rows(tmp_path / "rows.jsonl"))],
        vocabulary=300,
        sequence_length=16,
        heldout_sequences=4,
    )


@pytest.fixture
def words() -> dict[str, list[str]]:
    return WORDS
