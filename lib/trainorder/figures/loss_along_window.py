"""Estimated and true held-out loss after every step of the window, for the followed orders."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from trainorder.data.metrics import MAIN_METRIC
from trainorder.evaluation.results import Results
from trainorder.figures import style
from trainorder.orders.order import HELD_BACK

_ERRORS = (1e-6, 1.0)  # the largest range of the axis of errors, in nats per token
_COLUMNS = 2
_MARGIN = 0.4  # space above and below the true losses, as a part of their range


class Track(NamedTuple):
    """The losses of one order by one estimator: steps, estimated and true."""

    steps: Sequence[int]
    estimated: Sequence[float]
    true: Sequence[float]

    @property
    def errors(self) -> list[float]:
        """The absolute errors, in the sequence of the steps."""
        return [abs(e - t) for e, t in zip(self.estimated, self.true, strict=True)]


def draw(results: Results) -> Figure:
    """Draw losses, and below them their errors, against the step; each order has a column."""
    orders = tracks(results)
    pairs = style.rows_of(max(len(orders), 1), _COLUMNS)
    figure = style.new_figure(2.2 * pairs + 1.5, results.label())
    if not orders:
        figure.text(0.5, 0.5, "no order was followed along the window", ha="center")
        return figure
    grid = figure.subplots(2 * pairs, min(len(orders), _COLUMNS), squeeze=False, sharex=True)
    axes = list(zip(grid[::2].flat, grid[1::2].flat, strict=True))
    for unused in [panel for pair in axes[len(orders) :] for panel in pair]:
        unused.remove()
    drawn = axes[: len(orders)]
    for (upper, lower), (order, by_estimator) in zip(drawn, orders.items(), strict=True):
        _losses(upper, results, order, by_estimator)
        _errors(lower, results, order, by_estimator)
        upper.set_title(order, loc="left")
        lower.set_xlabel("step of the window")
    _share_limits([upper for upper, _ in drawn], [lower for _, lower in drawn], orders)
    for upper, lower in drawn[::_COLUMNS]:
        upper.set_ylabel("held-out loss")
        lower.set_ylabel("|estimate − truth|")
    drawn[0][0].set_xlim(0, results.steps * 1.02)
    panels = [panel for pair in drawn for panel in pair]
    figure.legend(*_legend(panels), loc="outside upper center", ncols=2, fontsize=style.SMALLEST)
    return figure


def _share_limits(
    uppers: Sequence[Axes], lowers: Sequence[Axes], orders: Mapping[str, Mapping[str, Track]]
) -> None:
    """Give all panels of losses, and all panels of errors, the same limits."""
    true = [loss for by_estimator in orders.values() for loss in _of_any(by_estimator).true]
    margin = _MARGIN * (max(true) - min(true))
    ends = [panel.get_ylim() for panel in lowers]
    low, high = min(end[0] for end in ends), max(end[1] for end in ends)
    for upper, lower in zip(uppers, lowers, strict=True):
        upper.set_ylim(min(true) - margin, max(true) + margin)
        lower.set_ylim(max(low, _ERRORS[0]), min(high, _ERRORS[1]))


def tracks(results: Results) -> dict[str, dict[str, Track]]:
    """Return the losses along the window by order and estimator."""
    found: dict[str, dict[str, Track]] = {}
    for name, by_order in (results.stepwise or {}).items():
        for order, by_metric in by_order.items():
            estimated, true = zip(*by_metric[MAIN_METRIC].values(), strict=True)
            found.setdefault(order, {})[name] = Track(list(by_metric[MAIN_METRIC]), estimated, true)
    return found


def _of_any(by_estimator: Mapping[str, Track]) -> Track:
    """Return the track of some estimator: the truth is the same in all of them."""
    return next(iter(by_estimator.values()))


def _losses(axes: Axes, results: Results, order: str, by_estimator: Mapping[str, Track]) -> None:
    truth = _of_any(by_estimator)
    axes.plot(
        truth.steps, truth.true, color="0.1", linewidth=1.6, label="truth", gid=f"truth/{order}"
    )
    for index, name in enumerate(results.estimators):
        if name in by_estimator:
            track = by_estimator[name]
            axes.plot(
                track.steps, track.estimated, label=results.caption(name), linewidth=0.6,
                markevery=_marks(index, track), gid=f"{name}/{order}", **style.line(index),
            )  # fmt: skip


def _errors(axes: Axes, results: Results, order: str, by_estimator: Mapping[str, Track]) -> None:
    """Draw the errors after step 0, before which all orders have the same parameters."""
    axes.set_yscale("log", nonpositive="mask")
    for index, name in enumerate(results.estimators):
        if name in by_estimator:
            track = by_estimator[name]
            axes.plot(
                track.steps[1:], track.errors[1:], linewidth=0.6, markevery=_marks(index, track),
                gid=f"error of {name}/{order}", **style.line(index),
            )  # fmt: skip
    spread = results.validation["spread"][MAIN_METRIC].get(HELD_BACK, {}).get("std")
    if spread:
        axes.axhline(
            spread, color="0.4", linewidth=1, linestyle=(0, (1, 1)), zorder=0,
            label="spread of random orders\n(at the end)",
        )  # fmt: skip


def _marks(index: int, track: Track) -> tuple[int, int]:
    """Return where a line has its marks: at other steps than the lines before it."""
    spacing = max(1, len(track.steps) // 8)
    return index % spacing, spacing


def _legend(axes: Sequence[Axes]) -> tuple[list[Artist], list[str]]:
    """Return one entry for each label, because not every estimator ran on every order."""
    entries: dict[str, Artist] = {}
    for panel in axes:
        handles, labels = panel.get_legend_handles_labels()
        entries |= dict(zip(labels, handles, strict=True))
    return list(entries.values()), list(entries)
