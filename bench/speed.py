"""The speed of gradients, replays and the reduced model, on the files of a finished study.

python -m bench.speed     # results/bench/speed.json, after `make study`

Everything is measured in this process, so nothing else should run. `docs/quote_results.py --speed`
then writes the tables of docs/performance.md.
"""

import io
import sys
from contextlib import redirect_stderr

from bench.speed_measurements import measure
from bench.studies import FOLDER, Study, environment, say
from trainorder.errors import UserError
from trainorder.storage.formats import write_json

OUTPUT = FOLDER / "speed.json"
STUDY = Study("default")


def main() -> None:
    """Measure and write the record; an error is one line."""
    try:
        config = STUDY.read().validation["provenance"]["config"]
        with redirect_stderr(io.StringIO()):  # the progress of replays
            measured = measure(STUDY)
    except UserError as error:
        sys.exit(f"error: {error}")
    write_json(OUTPUT, {"made": environment(), "config": config, "measured": measured})
    say(f"{OUTPUT}")


if __name__ == "__main__":
    main()
