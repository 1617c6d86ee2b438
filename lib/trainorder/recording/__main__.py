"""Commands about records.

python -m trainorder.recording import RUN RECORD     # the checkpoints of a Trainer become a record
"""

import argparse
import sys

from trainorder.errors import UserError
from trainorder.recording.trainer_import.import_run import Given, Imported, import_trainer


def main() -> None:
    """Run a command; an error is one line."""
    arguments = _parser().parse_args()
    files = ("tokens", "labels", "heldout", "heldout_labels", "rates")
    given = Given(**{name: getattr(arguments, name) for name in files})
    try:
        imported = import_trainer(arguments.run, arguments.record, given, start=arguments.start)
    except UserError as error:
        sys.exit(f"error: {error}")
    print(report(imported, arguments.record))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m trainorder.recording", description=__doc__)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("import", help="write a record from checkpoints of a Trainer")
    command.add_argument("run", help="the output folder of the Trainer, with checkpoint-<step>")
    command.add_argument("record", help="the folder to write")
    command.add_argument("--start", type=int, help="first checkpoint; default: the earliest")
    command.add_argument("--tokens", help=".npy: tokens of the steps from there on, in their order")
    command.add_argument("--labels", help=".npy: their labels, -100 where a token is no target")
    command.add_argument("--heldout", help=".npy: held-out sequences (sequences, length)")
    command.add_argument("--heldout-labels", help=".npy: their labels, of the same shape")
    command.add_argument("--rates", help=".npy: learning rates of these steps")
    return parser


def report(imported: Imported, record: str) -> str:
    """Return what was imported, and what is missing, as text."""
    lines = [f"states after {', '.join(map(str, imported.states))} updates"]
    if imported.steps:
        lines.append(f"steps {imported.steps.start} to {imported.steps.stop}")
    if imported.skipped is not None:
        lines.append(f"skipped: the last checkpoint: {imported.skipped}")
    if imported.unchecked:
        lines.append(
            f"unchecked: tokens and rates of the steps from {imported.unchecked.start} on, because "
            "there is no checkpoint after them; a study verifies those before by training again"
        )
    lines += [f"missing: {line}" for line in imported.missing]
    lines.append(
        "run this command again with what is missing"
        if imported.missing
        else f"complete; make a study of it: trainorder init FOLDER --recording {record}"
    )
    lines.append(
        "unknown: gradient clipping; if the run clipped (a Trainer does, at 1.0, unless "
        "max_grad_norm is 0), set optimizer.gradient_clip"
    )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
