import copy
import hashlib
import itertools
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.text import Text

import synthetic
from low_rank_study import make_study
from trainorder.errors import UserError
from trainorder.evaluation.results import Results
from trainorder.figures import (
    accuracy_vs_compute,
    error_along_window,
    estimated_vs_true,
    loss_along_window,
    overview,
    stores,
    style,
)
from trainorder.figures.catalogue import CATALOGUE
from trainorder.figures.cost_table import table
from trainorder.figures.drawing import FIGURES, draw_all, figure_of
from trainorder.figures.true_spread import order_kinds
from trainorder.memorization.maps import MAPS, QUANTITIES

FILES = [
    *["validation.json", "truth.csv", "estimates.csv", "trajectories.csv", "costs.json"],
    *[
        "stepwise_losses.csv",
        "ladder.json",
        "store/barycentre/probes.json",
        "stores.json",
        "curriculum.json",
        "memorization.json",
        "memorization.h5",
        "replicates.json",
    ],
]
ESTIMATED_VS_TRUE = {True: "estimated_vs_true", False: "estimated_vs_true_random"}
SOME = ("order_lds", "cost_table", "memorization", "replicates")  # lines, a table, images, bars
DRAW = """
import sys
from trainorder.figures.drawing import FIGURES, draw_all
for name in FIGURES.keys() - sys.argv[3:]:
    del FIGURES[name]
draw_all(sys.argv[1], sys.argv[2])
print(",".join(name for name in ("torch", "transformers", "datasets") if name in sys.modules))
"""


def copy_files(source, target, names):
    """Copy result files from one folder to another."""
    for name in names:
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).write_bytes((source / name).read_bytes())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Only the files that figures may read, in a folder of their own."""
    study = synthetic.make(tmp_path_factory.mktemp("study"), random=12, calibration=10)
    study.validate()
    bare = tmp_path_factory.mktemp("bare")
    copy_files(study.results, bare, [*FILES, "orders.json"])
    return bare


@pytest.fixture(scope="module")
def results(folder):
    return Results.read(folder)


@pytest.fixture(scope="module")
def figures(results):
    """Return the figures by name. Tests must not change them."""
    return {name: figure_of(results, name) for name in FIGURES}


def test_an_unknown_estimator_raises_one_line(results):
    with pytest.raises(UserError, match=r"unknown estimator `magic`; this study has .*@"):
        results.score("magic")


def digests(folder):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}


@pytest.mark.slow
def test_figures_are_drawn_without_torch_and_the_same_by_two_processes(
    folder, tmp_path, monkeypatch
):
    """Compare some figures; `test_bundled_figures.py` compares all figures of a study."""
    drawn = subprocess.run(
        [sys.executable, "-W", "error::UserWarning", "-c", DRAW, folder, tmp_path / "alone", *SOME],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert drawn.returncode == 0, drawn.stderr
    assert drawn.stdout.strip() == "", f"figures imported {drawn.stdout.strip()}"
    monkeypatch.setattr(
        "trainorder.figures.drawing.FIGURES", {name: FIGURES[name] for name in SOME}
    )
    paths = draw_all(folder, tmp_path / "at once", processes=2)
    files = [f"{n}.{k}" for n in CATALOGUE if n in SOME for k in ("pdf", "png")]
    assert [p.name for p in paths] == [*files, "index.html", "index.md"]
    assert digests(tmp_path / "alone") == digests(tmp_path / "at once"), (
        "a time or a random id in a file, or a process draws in another style"
    )


def plotted(figure):
    """Return the points of every labelled scatter of a figure."""
    return {
        artist.get_gid(): np.asarray(artist.get_offsets())
        for axes in figure.axes
        for artist in axes.collections
        if artist.get_gid()
    }


@pytest.mark.parametrize("structured", [True, False])
def test_estimated_against_true_shows_the_files_values(results, figures, structured):
    points = plotted(figures[ESTIMATED_VS_TRUE[structured]])
    assert ("taylor1@barycentre/structured" in points) == structured
    for split in ("random", "calibration"):
        expected = [
            (results.truth[order]["heldout"], values["heldout"])
            for order, values in results.estimates["taylor1@barycentre"].items()
            if results.split(order) == split
        ]
        actual = points[f"taylor1@barycentre/{split}"]
        assert np.array_equal(actual, expected), "other values than in the files are drawn"


def test_the_overview_shows_the_published_the_recommended_and_an_exact_estimator(results, figures):
    panels = overview.panels(results)
    selected = results.validation["selected_estimator"]
    assert [panel.estimator for panel in panels][:2] == ["fut@reference", selected]
    assert panels[2].estimator.startswith("taylor")
    figure = figures["overview"]
    for axes, panel in zip(figure.axes, panels, strict=True):
        points = [p for p in results.points(panel.estimator) if p.split == "random"]
        low, high = axes.get_ylim()
        expected = [(p.true, p.estimated) for p in points if low <= p.estimated <= high]
        assert np.array_equal(plotted(figure)[panel.estimator], expected)
        rank = results.score(panel.estimator)["order_lds"]["heldout"]["random"]
        [summary] = [t.get_text() for t in axes.texts if "random orders" in t.get_text()]
        assert panel.estimator in summary.replace("\n@", "@")
        assert style.rank_text(rank) in summary
        assert f"{len(points)} random orders" in summary
        assert axes.get_xlim() == axes.get_ylim() == figure.axes[0].get_xlim()


def test_the_overview_has_no_panel_for_an_estimator_that_the_study_lacks(results):
    scores = dict(results.validation["estimators"])
    del scores["fut@reference"]
    fewer = replace(results, validation={**results.validation, "estimators": scores})
    assert "Published method" not in [panel.role for panel in overview.panels(fewer)]
    assert len(overview.draw(fewer).axes) == len(overview.panels(fewer)) == 2


def test_the_overview_counts_estimates_beyond_its_axes(results):
    estimates = copy.deepcopy(results.estimates)
    estimates["fut@reference"]["random-0000"]["heldout"] = 100.0
    estimates["fut@reference"]["random-0001"]["heldout"] = float("nan")
    figure = overview.draw(replace(results, estimates=estimates))
    outside = 12 - len(plotted(figure)["fut@reference"])
    assert outside >= 2
    assert f"{outside} of 12 off scale" in texts(figure)


def test_every_order_is_drawn_or_flagged_at_the_edge(results, figures):
    figure = figures["estimated_vs_true"]
    panels = {axes.get_gid(): axes for axes in figure.axes}
    assert set(panels) == set(results.estimators)
    for name, axes in panels.items():
        marks = [a for a in axes.collections if not str(a.get_gid()).endswith("beyond range")]
        drawn = sum(len(a.get_offsets()) for a in marks if a.get_offsets().size > 2)
        drawn += sum(1 for a in marks if a.get_offsets().size == 2 and a.get_sizes().size)
        assert drawn == len(results.points(name)), f"{name}: an order is missing from its panel"
        if results.diverged(name):
            assert f"{len(results.diverged(name))} diverged" in axes.get_xlabel()
        assert results.score(name)["verdict"] in axes.get_title(loc="left")


def test_error_along_window_is_the_median_of_the_files_values(results):
    steps, errors = error_along_window.median_error(results, "order0@reference", "random")
    tracks = [results.trajectories["order0@reference"][o] for o in ("random-0000", "random-0001")]
    assert steps == list(range(synthetic.STEPS + 1))
    assert errors == [np.median([track[step] for track in tracks]) for step in steps]


def test_the_loss_along_the_window_shows_the_files_values(results, figures):
    orders = loss_along_window.tracks(results)
    assert set(orders) == {"random-0000", "random-0001", "reversed"}
    lines = {
        line.get_gid(): line for axes in figures["loss_along_window"].axes for line in axes.lines
    }
    for order, by_estimator in orders.items():
        for name, at in results.stepwise.items():
            along = at[order]["heldout"]
            expected = [(step, estimated) for step, (estimated, _) in along.items()]
            assert lines[f"{name}/{order}"].get_xydata().tolist() == [list(x) for x in expected]
            errors = lines[f"error of {name}/{order}"].get_ydata()
            assert errors[-1] == abs(along[synthetic.STEPS][0] - along[synthetic.STEPS][1])
            assert len(by_estimator[name].steps) == synthetic.STEPS + 1
        true = [value for _, value in along.values()]
        assert list(lines[f"truth/{order}"].get_ydata()) == true
        assert true[-1] == pytest.approx(results.truth[order]["heldout"])


def test_errors_against_distance_show_the_files_values(results, figures):
    for name, error_of in (
        ("error_vs_distance", lambda p: abs(p.estimated - p.true)),
        (
            "parameter_error_vs_distance",
            lambda p: results.trajectories["taylor1@reference"][p.order][synthetic.STEPS],
        ),
    ):
        actual = plotted(figures[name])["taylor1@reference/random"]
        expected = [
            (results.orders[point.order]["kendall"], error_of(point))
            for point in results.points("taylor1@reference")
            if point.split == "random"
        ]
        assert np.allclose(actual, expected, rtol=1e-12), f"{name} draws other values"


def test_true_spread_shows_every_order_but_the_reference(results, figures):
    kinds = order_kinds(results)
    assert sorted(name for names in kinds.values() for name in names) == sorted(
        name for name in results.orders if name != "reference"
    )
    actual = plotted(figures["true_spread"])["block-shuffled"]
    base = results.truth["reference"][results.metrics[-1]]
    expected = [results.truth[n][results.metrics[-1]] - base for n in kinds["block-shuffled"]]
    assert np.allclose(actual[:, 0], expected)


def test_the_cost_table_names_every_estimator_and_its_divergence(results, figures):
    groups = table(results)
    cells = {row[0]: row for rows in groups.values() for row in rows}
    assert sorted(cells) == sorted(results.estimators)
    for verdict, rows in groups.items():
        assert {results.score(row[0])["verdict"] for row in rows} == {verdict}
    assert cells["fut-unguarded@reference"][-1] == "–", "a mean over non-finite values was drawn"
    assert "fut-unguarded@reference 32 of 32" in figures["cost_table"].get_supxlabel()


def texts(figure):
    """Return every text of a figure: titles, labels, ticks, legends and cells."""
    return [text.get_text() for text in figure.findobj(Text)]


@pytest.mark.parametrize("name", FIGURES)
def test_a_warning_verdict_is_shown_wherever_its_estimator_is_named(results, figures, name):
    shown = texts(figures[name])
    for estimator in results.estimators:
        verdict = results.score(estimator)["verdict"]
        if verdict not in ("not trusted", "not calibrated") or name == "cost_table":
            continue  # the table has a column of them
        for text in shown:
            named = re.search(rf"(^|\s){re.escape(estimator)}(\s|$)", text)
            assert not named or verdict in text, f"{estimator} is named without a warning"


def test_trusted_estimators_carry_no_warning(results, figures):
    assert results.score("taylor1@barycentre")["verdict"] == "trusted"
    named = [t for t in texts(figures["order_lds"]) if "taylor1@barycentre" in t]
    assert named
    assert not [text for text in named if "not" in text]


def test_the_estimators_of_the_overview_have_the_largest_panels(results, figures):
    figure = figures["estimated_vs_true_random"]
    figure.draw_without_rendering()
    areas = {axes.get_gid(): axes.bbox.width * axes.bbox.height for axes in figure.axes}
    large = estimated_vs_true.large_panels(results)
    assert large[0] == results.validation["selected_estimator"]
    assert set(large) == {panel.estimator for panel in overview.panels(results)}
    others = [area for name, area in areas.items() if name not in large]
    assert min(areas[name] for name in large) > 1.5 * max(others), "a small panel is too large"


@pytest.mark.parametrize("structured", [True, False])
def test_estimates_beyond_the_calibrated_range_are_ringed(results, figures, structured):
    figure = figures[ESTIMATED_VS_TRUE[structured]]
    for estimator in results.estimators:
        points = {point.order: point for point in results.points(estimator)}
        shown = ("calibration", "random", *(["structured"] if structured else []))
        expected = {
            (points[order].true, points[order].estimated)
            for order in results.beyond(estimator) - results.diverged(estimator)
            if order != "reference" and points[order].split in shown
        }
        rings = {tuple(place) for place in plotted(figure)[f"{estimator}/beyond range"]}
        assert rings <= expected, f"{estimator}: another point is ringed"
        if estimator == "taylor1@barycentre" and structured:
            assert len(rings) == len(expected) > 0
    assert "beyond the calibrated range" in texts(figure)


def test_baselines_without_parameters_are_in_no_figure_of_parameters(results, figures):
    for name in ("error_along_window", "parameter_error_vs_distance"):
        actual = " ".join(texts(figures[name])).replace("\n@", "@")
        assert "ridge" not in actual
        assert "proxy" not in actual
        assert "recency-tail8@barycentre" in actual
    assert "ridge\nnot trusted" in texts(figures["error_vs_distance"])


@pytest.mark.parametrize("name", FIGURES)
def test_a_study_with_only_a_fitted_baseline_is_drawn(results, name):
    score = {"ridge": results.score("ridge")}
    only = {"estimators": score, "best_estimator": "ridge", "selected_estimator": "ridge"}
    bare = replace(results, validation={**results.validation, **only}, trajectories={}, stepwise={})
    figure_of(bare, name).draw_without_rendering()


def test_each_estimator_is_drawn_at_its_total_compute(results, figures):
    axes = figures["accuracy_vs_compute"].axes[0]
    actual = {line.get_gid(): line.get_xydata()[0] for line in axes.lines if line.get_gid()}
    ranks = {
        n: results.score(n)["order_lds"]["heldout"]["random"]["value"] for n in results.estimators
    }
    drawn = {name: rank for name, rank in ranks.items() if rank is not None}
    assert set(actual) == {*drawn, "front", "retrain all"}, "an undefined rank has no mark"
    for name, expected in drawn.items():
        total, value = actual[name]
        assert total == pytest.approx(results.score(name)["cost"]["total_retrainings"])
        assert value == pytest.approx(expected, abs=0.01), "only values above 0.993 may be lower"
    assert actual["retrain all"][0] == results.validation["retrain_all"]["total_retrainings"]
    assert "retrain all 22: 22.7" in texts(figures["accuracy_vs_compute"])
    [ring] = [mark for mark in axes.collections if mark.get_gid() == "selected"]
    selected = results.validation["selected_estimator"]
    assert ring.get_offsets()[0].tolist() == list(actual[selected])


def test_estimators_that_fail_are_listed_below_the_axes_and_not_beside_them(results, figures):
    figure = figures["accuracy_vs_compute"]
    beside = " ".join(text.get_text() for text in figure.axes[1].texts)
    for name in results.estimators:
        verdict = results.score(name)["verdict"]
        fails = verdict in ("not trusted", "not calibrated")
        listed = f"{name} " in figure.get_supxlabel().replace("\n", " ")
        assert listed == fails, f"{name} ({verdict}) is in the wrong list"
        if not fails:
            assert name in beside, f"{name} has no label"


def test_a_correlation_of_few_orders_is_listed_with_their_number(results, figures):
    label = " ".join(figures["accuracy_vs_compute"].get_supxlabel().split())
    held_back = results.validation["orders"]["random"]
    for name in results.estimators:
        n = results.score(name)["order_lds"]["heldout"]["random"]["n"]
        if f"{name} " in label:
            entry = label.partition(f"{name} ")[2].partition(",")[0]
            assert (f"(n = {n})" in entry) == (n < held_back), entry


def test_no_estimator_of_the_front_is_dominated_and_every_other_one_is(results):
    marks = [mark for mark in accuracy_vs_compute.marks(results) if not mark.fails]
    front = accuracy_vs_compute.front(marks)
    assert front
    for mark in marks:
        better = [m for m in marks if m.total <= mark.total and m.height >= mark.height]
        assert (better == [mark]) == (mark in front), f"{mark.estimator}: wrong side of the front"


def test_the_names_beside_the_axes_do_not_overlap(results):
    scores = copy.deepcopy(results.validation["estimators"])
    for i, score in enumerate(scores.values()):  # almost equal accuracies
        score["verdict"] = "trusted"
        score["order_lds"]["heldout"]["random"] |= {"value": 0.9 + 0.001 * i, "low": 0.8}
    shown = replace(results, validation={**results.validation, "estimators": scores})
    figure = figure_of(shown, "accuracy_vs_compute")
    figure.draw_without_rendering()
    named = {t.get_text(): Text.get_window_extent(t) for t in figure.axes[1].texts}
    assert len(named) == len(results.estimators)
    for (one, box), (other, beside) in itertools.combinations(named.items(), 2):
        assert not box.overlaps(beside), f"{one} overlaps {other}"


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.lists(st.floats(-1, 1), min_size=1, max_size=12))
def test_names_of_a_column_do_not_overlap_and_move_only_if_necessary(preferred):
    places = accuracy_vs_compute.spread(preferred, (-2.0, 2.0), 0.05)
    assert np.diff(sorted(places)).min(initial=1.0) > 0.2 - 1e-9, "two names overlap"
    assert [places[i] for i in np.argsort(preferred, kind="stable")] == sorted(places), (
        "lines cross"
    )
    if np.diff(sorted(preferred)).min(initial=1.0) >= 0.2:
        assert places == pytest.approx(preferred), "a name was moved unnecessarily"
    assert min(places) >= -1.9
    assert max(places) <= 1.9 + 1e-9, "written beyond the axes"


def test_stores_are_drawn_at_their_bytes_with_the_published_one_marked(results, figures):
    figure = figures["stores"]
    for field, axes in zip(stores.PANELS, figure.axes[: len(stores.PANELS)], strict=True):
        actual = {line.get_gid(): line.get_xydata() for line in axes.lines}
        for name, records in stores.curves(results.stores["stores"]).items():
            expected = [(r["bytes"], r[field]) for r in records if r[field]]
            if expected:
                assert np.array_equal(actual[f"{field}/{name}"], expected), f"{name}: other values"
            else:
                assert f"{field}/{name}" not in actual, "an exact or diverged store has no point"
        [published] = actual[f"{field}/published"]
        [record] = [r for r in results.stores["stores"] if r["store"] == "jl" and r["ratio"] == 32]
        assert tuple(published) == (record["bytes"], record[field])


def test_stores_of_residuals_are_drawn_at_their_bytes_with_their_errors(results, figures):
    fields = dict.fromkeys(stores.PANELS) | {"table_error": "residual_error"}
    for field, axes in zip(
        stores.PANELS, figures["stores"].axes[: len(stores.PANELS)], strict=True
    ):
        lines = {line.get_gid(): line.get_xydata().tolist() for line in axes.lines}
        for record in results.stores["residuals"]["stores"]:
            error = record[fields[field] or field]
            drawn = lines.get(f"{field}/residuals, {record['store']}", [])
            assert drawn == ([[record["bytes"], error]] if error else [])


def test_the_ladder_shows_every_size_that_was_tried_and_shades_the_selected_one(results, figures):
    rank, error = figures["cost_accuracy_ladder"].axes
    levels = results.ladder["levels"]
    costs = [level["per_order_retrainings"] for level in levels]
    [selected] = [c["per_order_retrainings"] for c in levels if c["size"] == 8]
    shown = {
        rank: [c["order_lds"]["value"] for c in levels],
        error: [c["relative_error"] for c in levels],
    }
    for panel, values in shown.items():
        drawn = panel.lines[0]
        assert list(drawn.get_xdata()) == costs
        assert list(drawn.get_ydata()) == values
        shade = panel.lines[-1]
        assert shade.get_alpha() is not None
        assert set(shade.get_xdata()) == {selected}, "another size than the selected one is shaded"


def test_the_ranks_that_were_tried_are_drawn_at_their_precompute(results, figures):
    rank, error = figures["rank_levels"].axes
    levels = results.ranks["barycentre"]["levels"]
    costs = [level["precompute_retrainings"] for level in levels]
    shown = {
        rank: [level["order_lds"]["value"] for level in levels],
        error: [level["relative_error"] for level in levels],
    }
    for panel, values in shown.items():
        assert panel.lines[0].get_xydata().T.tolist() == [costs, values]
        assert set(panel.lines[-1].get_xdata()) == {costs[-1]}, "another rank is shaded"


def test_stored_models_are_compared_with_the_estimators_they_reproduce(results, tmp_path):
    low_rank = replace(Results.read(make_study(tmp_path).results), stores=results.stores)
    actual = stores.models(low_rank)
    assert set(actual) == {"nystrom@barycentre", "reduced@barycentre"}
    axes = FIGURES["stores"](low_rank).axes[list(stores.PANELS).index("loss_error")]
    for name, (size, error) in actual.items():
        assert size == low_rank.score(name)["cost"]["bytes"]
        assert 0 < error < 0.01, f"{name} is compared with something else"
        [line] = [line for line in axes.lines if line.get_gid() == f"loss_error/{name}"]
        assert line.get_xydata().tolist() == [[size, error]]


@pytest.mark.parametrize(
    "missing",
    [
        *["stores", "curriculum", "memorization", "replicates", "stepwise_losses"],
        "store/barycentre/probes",
    ],
)
def test_without_a_part_all_other_figures_are_drawn(folder, tmp_path, monkeypatch, missing):
    # Files are not written, which takes most of the time.
    monkeypatch.setattr(style, "save", lambda figure, output, name: [Path(output) / f"{name}.pdf"])
    copied = [name for name in [*FILES, "orders.json"] if name.split(".")[0] != missing]
    copy_files(folder, tmp_path, copied)
    drawn = {p.stem for p in draw_all(tmp_path, tmp_path / "figures") if p.suffix == ".pdf"}
    attributes = {"store/barycentre/probes": "ranks", "stepwise_losses": "stepwise"}
    part = attributes.get(missing, missing)
    not_drawn = {name for name, entry in CATALOGUE.items() if entry.needs == part}
    if missing == "memorization":
        not_drawn |= {"memorization", "forgetting", "poisoned"}
    assert drawn == set(FIGURES) - not_drawn


def test_stores_are_drawn_without_an_estimator_that_reads_residuals(results):
    none = replace(results, stores={**results.stores, "residuals": None})
    gids = [line.get_gid() or "" for axes in FIGURES["stores"](none).axes for line in axes.lines]
    assert gids
    assert not any("residuals" in gid for gid in gids)


def test_the_figure_says_that_the_table_is_too_large_to_compare(results):
    none = replace(results, stores={**results.stores, "stores": []})
    figure = FIGURES["stores"](none)
    assert not figure.axes
    assert any("the gradient table is too large" in text.get_text() for text in figure.texts)


def test_a_store_of_residuals_without_a_field_raises_one_line(folder, tmp_path):
    copy_files(folder, tmp_path, [*FILES, "orders.json"])
    content = json.loads((tmp_path / "stores.json").read_text())
    del content["residuals"]["stores"][-1]["loss_error"]
    (tmp_path / "stores.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=r"stores\.json.*rule `stores`"):
        Results.read(tmp_path)


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"stores": [{}]}', "null"])
def test_an_invalid_stores_file_raises_one_line(folder, tmp_path, text):
    copy_files(folder, tmp_path, [*FILES, "orders.json"])
    (tmp_path / "stores.json").write_text(text)
    with pytest.raises(UserError, match=r"stores\.json.*rule `stores`"):
        Results.read(tmp_path)


def test_figures_name_their_study(results, figures):
    for name, figure in figures.items():
        label = figure.get_supxlabel()
        verdict = f"verdict {results.validation['verdict']}"
        for part in ("synthetic", verdict, "346 k parameters", "T = 32", "init 0", "12 held-back"):
            assert part in label.replace("\n", " "), f"{name} does not say {part}"


def test_a_missing_or_invalid_result_file_raises_one_line(folder, tmp_path):
    copy_files(folder, tmp_path, [*FILES, "orders.json"])
    (tmp_path / "truth.csv").write_text("order,metric,value\nreference,heldout,much\n")
    with pytest.raises(UserError, match=r"truth\.csv.*rule `validate`"):
        draw_all(tmp_path, tmp_path / "figures")
    (tmp_path / "truth.csv").unlink()
    with pytest.raises(UserError, match=r"truth\.csv"):
        draw_all(tmp_path, Path(tmp_path) / "figures")


def test_searched_orders_are_drawn_at_their_true_objective(results, figures):
    [axes] = figures["curriculum"].axes
    actual = {
        str(mark.get_gid()): mark.get_offsets()[0][0]
        for mark in axes.collections
        if str(mark.get_gid()).startswith(("true ", "estimated "))
    }
    for order in results.curriculum["orders"]:
        if order["true"] is None:
            assert f"true {order['name']}" not in actual, "an order that was not retrained is drawn"
            continue
        assert actual[f"true {order['name']}"] == order["true"]
        estimate = order["estimates"]["nystrom@barycentre"]["value"]
        assert actual[f"estimated {order['name']}"] == estimate


@pytest.mark.parametrize(
    ("had", "text"), [(40, "expected best of 40"), (16, "best of all 16, not of 40")]
)
def test_the_baseline_of_random_orders_is_named_by_their_number(results, had, text):
    curriculum = results.curriculum
    compute = {**curriculum["compute"], "random_orders_had": had}
    changed = replace(results, curriculum={**curriculum, "compute": compute})
    [axes] = FIGURES["curriculum"](changed).axes
    assert any(text in label.get_text() for label in axes.texts)


def test_a_search_by_steps_is_drawn_with_the_best_order_after_each_round(results):
    rounds = [
        {"retrainings": 5.0, "best": 4.24, "estimates": [4.25], "true": [4.26]},
        {"retrainings": 9.5, "best": 4.22, "estimates": [4.23, 4.22], "true": [4.23, 4.22]},
    ]
    steps = {"starts": [4.3, 4.24], "rounds": rounds}
    searched = replace(results, curriculum={**results.curriculum, "step_search": steps})
    [_, below] = FIGURES["curriculum"](searched).axes
    [best] = [line for line in below.lines if line.get_gid() == "best so far"]
    assert list(best.get_xdata()) == [0.0, 5.0, 9.5]
    assert list(best.get_ydata()) == [4.24, 4.24, 4.22]


def test_maps_show_estimates_everywhere_and_truth_and_difference_where_retrained(results, figures):
    artists = {
        artist.get_gid(): artist
        for axes in figures["memorization"].axes
        for artist in [*axes.images, *axes.collections]
    }
    rows = np.argsort(results.memorization["unit_domains"], kind="stable")
    for name in (f"{quantity}_{kind}" for quantity in QUANTITIES for kind in MAPS):
        estimated, true = (results.maps[f"{what}_{name}"][rows] for what in ("estimated", "true"))
        image = artists[f"estimated {name.replace('_', ' ')}"]
        assert np.array_equal(image.get_array().filled(np.nan), estimated, equal_nan=True)
        units, steps = np.nonzero(np.isfinite(true))
        for what, values in (("true", true), ("difference", estimated - true)):
            points = artists[f"{what} {name.replace('_', ' ')}"]
            assert np.array_equal(points.get_offsets(), np.stack([steps, units], 1)), "other cells"
            assert np.array_equal(points.get_array(), values[units, steps]), f"{what}: other values"
            assert points.get_clim() == image.get_clim(), f"{what} has a colour scale of its own"
    for quantity in QUANTITIES:
        ends = {a.get_clim() for name, a in artists.items() if name and f" {quantity} " in name}
        assert len(ends) == 1, f"maps of {quantity} have colours of their own"


def test_the_effect_of_a_poisoned_unit_is_drawn_by_its_step(results, figures):
    drawn = {
        artist.get_gid(): artist
        for axes in figures["poisoned"].axes
        for artist in [*axes.lines, *axes.collections]
    }
    for name, quantity in (("heldout", "same"), ("own", "own")):
        values = results.maps[f"estimated_{quantity}_presence"]
        assert np.array_equal(drawn[f"estimated {name} 0"].get_ydata(), values[0])
        assert np.allclose(drawn[f"clean {name}"].get_ydata(), values[1:].mean(0))
        for cell in results.poisoned:
            [point] = drawn[f"true {name} 0 {cell['step']}"].get_offsets()
            assert point.tolist() == [cell["step"], cell[name]["true"]]


def test_each_retrained_unit_is_drawn_beside_its_own_estimate(results, figures):
    """The line is a mean over units, so that a single unit far from it is no error."""
    panel = figures["forgetting"].axes[0]
    drawn = {one.get_gid(): one.get_offsets() for one in panel.collections if one.get_gid()}
    true, estimated = drawn["true all"], drawn["estimated cells all"]
    assert (true[:, 0] == estimated[:, 0]).all(), "a cross has no estimate beside it"
    maps = results.maps
    where = np.isfinite(maps["true_own_presence"])
    expected = sorted(-maps["estimated_own_presence"][where])
    assert sorted(estimated[:, 1]) == pytest.approx(expected)


def test_the_maps_state_how_many_cells_of_each_were_retrained(results):
    """A mixed unit has no loss of other domains, so these maps have fewer cells."""
    maps = {name: values.copy() for name, values in results.maps.items()}
    for name in MAPS:
        for quantity in QUANTITIES:
            cells = np.full((32, results.steps), np.nan)
            cells[0, : 2 if quantity == "other" else 5] = 0.1
            maps[f"true_{quantity}_{name}"] = cells
    label = figure_of(replace(results, maps=maps), "memorization").get_supxlabel()
    label = " ".join(label.split())
    assert "5 (held-out loss of its domain), 2 (held-out loss of other domains)" in label


def test_forgetting_curves_are_drawn_at_their_ages(results, figures):
    figure = figures["forgetting"]
    curves = results.memorization["forgetting"]
    lines = {line.get_gid(): line for axes in figure.axes for line in axes.lines if line.get_gid()}
    for name, curve in curves.items():
        drawn = lines[f"estimated {name}"].get_ydata()
        assert np.array_equal(drawn, curve["advantage"])


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_has_the_width_of_a_column_and_readable_text(figures, name):
    figure = figures[name]
    assert figure.get_figwidth() * 25.4 == pytest.approx(85)
    for text in figure.findobj(Text):
        if text.get_text().strip() and text.get_visible():
            assert text.get_fontsize() >= style.SMALLEST, f"`{text.get_text()}` is too small"


@pytest.mark.parametrize("name", FIGURES)
def test_no_text_of_a_figure_is_cut_off(figures, name):
    figure = figures[name]
    figure.draw_without_rendering()
    page = figure.bbox.padded(2 * figure.dpi / 72)  # points
    ticks = {
        id(label)
        for panel in figure.axes
        for axis in (panel.xaxis, panel.yaxis)
        for label in [*axis.get_majorticklabels(), *axis.get_minorticklabels()]
    }  # those outside the limits of an axis are not drawn
    for text in figure.findobj(Text):
        if text.get_text().strip() and text.get_visible() and id(text) not in ticks:
            box = text.get_window_extent()
            inside = [page.x0 <= box.x0, box.x1 <= page.x1, page.y0 <= box.y0, box.y1 <= page.y1]
            assert all(inside), f"`{text.get_text()}` leaves the page"


def test_lines_of_an_estimator_differ_without_colour():
    looks = [style.line(index) for index in range(17)]
    assert len({look["marker"] for look in looks}) == 17, "two lines differ by their colour only"
