"""How the searches by steps went on: a figure and a table, from the records of the trainings."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import spearmanr

from bench.page import number, table
from trainorder.curriculum.gains import expected_best
from trainorder.figures import style

Record = Mapping[str, Any]


class Progress(NamedTuple):
    """A search by steps, in standard deviations of the random orders of its study.

    Attributes:
        spent: what the search had cost in all after each round, in retrainings; first the cost of
            the orders that it started from.
        best: how far the best known order was below the mean random order then.
        estimated: how far each retrained order was estimated below its incumbent.
        true: how far it was below it.
        chance: how far the expected best of 1, 2, ... random orders is below their mean.

    """

    spent: list[float]
    best: list[float]
    estimated: list[float]
    true: list[float]
    chance: list[float]


def progress(curriculum: Record) -> Progress:
    """Return the progress of a search by steps from the content of `curriculum.json`."""
    steps, random = curriculum["step_search"], curriculum["random"]
    rounds, mean, spread = steps["rounds"], random["mean"], random["std"]
    before = curriculum["compute"]["total_retrainings"] - steps["retrainings"]
    values = list(random["true"].values())
    moves = [
        (one["incumbent"] - estimate, one["incumbent"] - true)
        for one in rounds
        for estimate, true in zip(one["estimates"], one["true"], strict=True)
    ]
    lowest = [min(steps["starts"]), *(one["best"] for one in rounds)]
    return Progress(
        spent=[before, *(before + one["retrainings"] for one in rounds)],
        best=[(mean - value) / spread for value in lowest],
        estimated=[estimate / spread for estimate, _ in moves],
        true=[true / spread for _, true in moves],
        chance=[(mean - expected_best(values, n)) / spread for n in range(1, len(values) + 1)],
    )


def by_steps(groups: Mapping[str, Sequence[Record]]) -> dict[str, list[Progress]]:
    """Return the progress of the searches by steps in each group that has some."""
    found = {
        name: [progress(one) for one in curricula if "step_search" in one]
        for name, curricula in groups.items()
    }
    return {name: searches for name, searches in found.items() if searches}


def draw(groups: Mapping[str, Sequence[Progress]], note: str) -> Figure:
    """Draw one row for each group: the best order against the cost, and moves against estimates.

    Args:
        groups: from `by_steps`, not empty.
        note: the line below the figure.

    """
    figure = style.new_figure(2.1 * len(groups) + 1.0, note, width=8.0)
    grid = figure.subplots(len(groups), 2, squeeze=False)
    for row, (name, searches) in zip(grid, groups.items(), strict=True):
        _costs(row[0], searches)
        _moves(row[1], searches)
        row[0].set_ylabel(f"{style.wrapped(name, 24)}\nspreads below the mean")
        row[1].set_ylabel("retrained (spreads)")
    grid[0][0].set_title("the best known order", loc="left")
    grid[0][1].set_title("gain of moves over their incumbent", loc="left")
    grid[-1][0].set_xlabel("cost of the whole search (retrainings)")
    grid[-1][1].set_xlabel("estimated (spreads)")
    grid[0][0].legend(loc="best")
    return figure


def _costs(axes: Axes, searches: Sequence[Progress]) -> None:
    names = ["search, a line for each seed", "expected best of as many random orders"]
    for one in searches:
        counts = range(1, len(one.chance) + 1)
        axes.step(one.spent, one.best, where="post", color="#31688e", label=names[0])
        axes.plot(counts, one.chance, color=style.GREY, linewidth=0.6, label=names[1])
        names = ["", ""]  # matplotlib lists each line of the legend once


def _moves(axes: Axes, searches: Sequence[Progress]) -> None:
    estimated = [value for one in searches for value in one.estimated]
    true = [value for one in searches for value in one.true]
    axes.axhline(0, color="0.4", linewidth=0.6)
    axes.axvline(0, color="0.4", linewidth=0.6)
    axes.scatter(estimated, true, s=5, color="#31688e", linewidth=0)


def rounds_table(groups: Mapping[str, Sequence[Progress]]) -> str:
    """Return the table of what the searches by steps started from and what they added."""
    head = [
        *("training", "best start", "best order", "retrained moves", "better than the incumbent"),
        "Spearman of estimated and true gain",
    ]
    rows = []
    for name, searches in groups.items():
        estimated = np.concatenate([one.estimated for one in searches])
        true = np.concatenate([one.true for one in searches])
        rows.append(
            [
                name,
                ", ".join(number(one.best[0]) for one in searches),
                ", ".join(number(one.best[-1]) for one in searches),
                str(len(true)),
                f"{(true > 0).mean():.0%}" if len(true) else "–",
                number(float(spearmanr(estimated, true).statistic)) if len(true) > 2 else "–",
            ]
        )
    return table(head, rows)
