"""What recording a run costs: time for each update and each state, and bytes.

python -m bench.recording    # docs/measured/recording.md and .json, in a minute

It trains the models of the default study and of presets/wider.yaml on random tokens, with batches
of the default study, and times the updates without a recorder and the work of the recorder.
"""

import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from bench.page import short_number, table
from bench.studies import environment, environment_text, say
from trainorder.config.loading import load_config
from trainorder.config.sections.model import ModelConfig
from trainorder.config.study_config import Config, parse
from trainorder.errors import UserError
from trainorder.recording.recorder import Recorder
from trainorder.storage.formats import size_text, write_json, write_text
from trainorder.training.model import LanguageModel

OUTPUT = Path("docs/measured/recording")
STUDIES: Mapping[str, list[str]] = {"default": [], "wider": ["presets/wider.yaml"]}
EVERY = 10  # updates between two states, the default of `Recorder`
UPDATES = 60  # that are timed


def main() -> None:
    """Measure and write the record and its page; an error is one line."""
    torch.set_num_threads(1)
    try:
        measured = {
            name: measure(parse(load_config("config.yaml", *files)))
            for name, files in STUDIES.items()
        }
    except UserError as error:
        sys.exit(f"error: {error}")
    record = {"made": environment(), "measured": measured}
    write_json(OUTPUT.with_suffix(".json"), record)
    write_text(OUTPUT.with_suffix(".md"), markdown(record))
    say(f"{OUTPUT}.md")


def measure(config: Config) -> dict[str, float]:
    """Return the times of an update and of its recording, and the bytes.

    Each time is the fastest of all, because other processes only add to it.

    Keys are `parameters`; `update`, `record_update` and `record_state` in seconds; `state_bytes`
    and `update_bytes`.
    """
    length, vocabulary = config.corpus.sequence_length, config.corpus.vocabulary
    model = _model(config.model, vocabulary, length)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    tokens = torch.randint(vocabulary, (config.window.sequences_per_step, length))
    times: dict[str, list[float]] = {"update": [], "record_update": [], "record_state": []}
    with tempfile.TemporaryDirectory() as folder:
        recorder = _Timed(folder, model, optimizer, every=EVERY)
        with recorder as record:
            for _ in range(UPDATES):
                begin = time.perf_counter()
                record.batch(tokens)
                model(input_ids=tokens, labels=tokens).loss.backward()
                optimizer.step()
                optimizer.zero_grad()
                spent = recorder.taken()
                times["update"].append(time.perf_counter() - begin - sum(spent.values()))
                for name, seconds in spent.items():
                    times[name].append(seconds)
        states = _bytes(Path(folder, f"checkpoint-{EVERY}"))
        steps = _bytes(Path(folder, "steps"))
    fastest = {name: min(values) for name, values in times.items()}
    size = sum(parameter.numel() for parameter in model.parameters())
    return {**fastest, "parameters": size, "state_bytes": states, "update_bytes": steps / UPDATES}


class _Timed(Recorder):
    """A recorder that times its work."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._spent: dict[str, float] = {}

    def taken(self) -> dict[str, float]:
        """Return the seconds of each kind of work since the last call."""
        spent, self._spent = self._spent, {}
        return spent

    def batch(self, *arguments: Any, **options: Any) -> None:
        self._time("record_update", lambda: super(_Timed, self).batch(*arguments, **options))

    def _record(self, *arguments: Any) -> None:
        self._time("record_update", lambda: super(_Timed, self)._record(*arguments))

    def _write_state(self) -> None:
        self._time("record_state", super()._write_state)

    def _time(self, name: str, work: Callable[[], None]) -> None:
        begin = time.perf_counter()
        work()
        self._spent[name] = self._spent.get(name, 0.0) + time.perf_counter() - begin


def _model(config: ModelConfig, vocabulary: int, length: int) -> torch.nn.Module:
    return LanguageModel(config, vocabulary, length, 0, torch.float32).module


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())


def markdown(record: Mapping[str, Any]) -> str:
    """Return the page."""
    rows = []
    for name, one in record["measured"].items():
        overhead = (one["record_update"] + one["record_state"] / EVERY) / one["update"]
        rows.append(
            [
                f"`{name}`",
                f"{one['parameters']:,}",
                short_number(1e3 * one["update"]),
                short_number(1e3 * one["record_update"]),
                f"{short_number(1e3 * one['record_state'])} ({size_text(one['state_bytes'])})",
                f"{100 * overhead:.1f} %",
            ]
        )
    head = ["model of", "parameters", "update, ms", "its record, ms", "a state, ms", "overhead"]
    parts = [
        "# Recording",
        "What [recording](../run.md#record-a-run) adds to the time of a training: the batch and "
        f"the rates of each update, and a state every {EVERY} updates. Each time is the fastest of "
        f"{UPDATES} updates with the batch of the default study. Larger batches lower the "
        "overhead, because it depends on the parameters; so does a larger `every`.",
        table(head, rows),
        f"{environment_text(record['made'])}. Made by `python -m bench.recording`; "
        "[recording.json](recording.json) has the numbers.",
    ]
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    main()
