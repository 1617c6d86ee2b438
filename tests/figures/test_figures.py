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
    FIGURES,
    NEEDS,
    accuracy_vs_compute,
    draw_all,
    error_along_window,
    loss_along_window,
    overview,
    stores,
    style,
)
from trainorder.figures.cost_table import table
from trainorder.figures.true_spread import order_kinds

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
from trainorder.figures import FIGURES, draw_all
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
    return {name: draw(results) for name, draw in FIGURES.items()}


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
    monkeypatch.setattr("trainorder.figures.FIGURES", {name: FIGURES[name] for name in SOME})
    paths = draw_all(folder, tmp_path / "at once", processes=2)
    assert [p.name for p in paths] == [f"{n}.{k}" for n in SOME for k in ("pdf", "png")]
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
        [summary] = [t.get_text() for t in axes.texts if panel.estimator in t.get_text()]
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
    for axes, name in zip(figure.axes, results.estimators, strict=True):
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


def test_the_cost_table_names_every_estimator_and_its_divergence(results):
    cells = {row[0]: row for row in table(results)}
    assert list(cells) == results.estimators
    assert cells["fut-unguarded@reference"][-2] == "32 of 32"
    assert cells["fut-unguarded@reference"][7] == "–", "a mean over non-finite values was drawn"
    assert cells["taylor2@reference"][-1] == "not calibrated"
    assert cells["ridge"][9] == "–", "an error of parameters that it does not have"


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
        actual = " ".join(texts(figures[name]))
        assert "ridge" not in actual
        assert "proxy" not in actual
        assert "recency-tail8@barycentre" in actual
    assert "ridge\nnot trusted" in texts(figures["error_vs_distance"])


@pytest.mark.parametrize("name", FIGURES)
def test_a_study_with_only_a_fitted_baseline_is_drawn(results, name):
    score = {"ridge": results.score("ridge")}
    only = {"estimators": score, "best_estimator": "ridge", "selected_estimator": "ridge"}
    bare = replace(results, validation={**results.validation, **only}, trajectories={}, stepwise={})
    FIGURES[name](bare).draw_without_rendering()


def test_each_estimator_is_drawn_at_its_total_compute(results, figures):
    figure = figures["accuracy_vs_compute"]
    [axes] = figure.axes
    actual = {line.get_gid(): line.get_xydata()[0] for line in axes.lines if line.get_gid()}
    assert set(actual) == set(results.estimators)
    for name, (total, value) in actual.items():
        score = results.score(name)
        assert total == score["cost"]["total_retrainings"]
        assert value == (score["order_lds"]["heldout"]["random"]["value"] or 0.0)
    numbers = [text.get_text() for text in axes.texts]
    assert numbers == [str(i + 1) for i in range(len(actual))]
    totals = [mark.total for mark in accuracy_vs_compute.marks(results)]
    assert totals == sorted(totals), "the numbers are not in the sequence of cost"
    [line] = [line for line in axes.lines if line.get_label() == "retrain all 22 for real"]
    assert line.get_xdata()[0] == results.validation["retrain_all"]["total_retrainings"]


def boxes(figure):
    """Return the boxes of the numbers of a figure's marks in pixels, without their lines."""
    figure.draw_without_rendering()
    return {text.get_text(): Text.get_window_extent(text) for text in figure.axes[0].texts}


@pytest.mark.parametrize("alike", [False, True])
def test_the_number_of_every_mark_is_legible_and_near_its_mark(results, alike):
    """Check the costs of the study, and almost equal costs, for which the marks overlap."""
    shown = results
    if alike:
        scores = copy.deepcopy(results.validation["estimators"])
        for i, score in enumerate(scores.values()):
            score["cost"]["total_retrainings"] = 40 + 0.1 * i
        shown = replace(results, validation={**results.validation, "estimators": scores})
    figure = FIGURES["accuracy_vs_compute"](shown)
    actual, [axes] = boxes(figure), figure.axes
    for (one, box), (other, beside) in itertools.combinations(actual.items(), 2):
        assert not box.overlaps(beside), f"{one} overlaps {other}"
    for number, mark in enumerate(accuracy_vs_compute.marks(shown), 1):
        place = axes.transData.transform((mark.total, mark.height))
        for written, box in actual.items():
            assert not box.contains(*place), f"{written} hides the mark of {number}"
        assert tuple(axes.texts[number - 1].xy) == (mark.total, mark.height), (
            "the line leads to another mark"
        )
        assert axes.bbox.y0 <= actual[str(number)].y0, "written below the axes"


@settings(max_examples=200, deadline=None, derandomize=True, database=None)
@given(st.lists(st.floats(-1, 1), min_size=1, max_size=12))
def test_numbers_of_a_column_do_not_overlap_and_move_only_if_necessary(preferred):
    places = accuracy_vs_compute.spread(preferred, (-2.0, 2.0), 0.05)
    assert np.diff(sorted(places)).min(initial=1.0) > 0.2 - 1e-9, "two numbers overlap"
    assert [places[i] for i in np.argsort(preferred, kind="stable")] == sorted(places), (
        "lines cross"
    )
    if np.diff(sorted(preferred)).min(initial=1.0) >= 0.2:
        assert places == pytest.approx(preferred), "a number was moved unnecessarily"
    assert min(places) >= -1.9
    assert max(places) <= 1.9 + 1e-9, "written beyond the axes"


def test_stores_are_drawn_at_their_bytes_with_the_published_one_marked(results, figures):
    figure = figures["stores"]
    for field, axes in zip(stores.PANELS, figure.axes, strict=True):
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
    for field, axes in zip(stores.PANELS, figures["stores"].axes, strict=True):
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
    drawn = {path.stem for path in draw_all(tmp_path, tmp_path / "figures")}
    attributes = {"store/barycentre/probes": "ranks", "stepwise_losses": "stepwise"}
    part = attributes.get(missing, missing)
    not_drawn = {name for name, need in NEEDS.items() if need == part}
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
        for part in ("synthetic", verdict, "346 k parameters", "T = 32", "init 0", "12 random"):
            assert part in label, f"{name} does not say {part}"


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


def test_estimated_and_true_maps_have_one_colour_scale(results, figures):
    figure = figures["memorization"]
    images = {image.get_gid(): image for axes in figure.axes for image in axes.images}
    rows = np.argsort(results.memorization["unit_domains"], kind="stable")
    for name, values in results.maps.items():
        image = images[name.replace("_", " ")]
        assert np.array_equal(image.get_array().filled(np.nan), values[rows], equal_nan=True)
    for quantity in ("own", "same", "other"):
        ends = {image.get_clim() for name, image in images.items() if f" {quantity} " in name}
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


def test_forgetting_curves_are_drawn_at_their_ages(results, figures):
    figure = figures["forgetting"]
    curves = results.memorization["forgetting"]
    lines = {line.get_gid(): line for axes in figure.axes for line in axes.lines if line.get_gid()}
    for name, curve in curves.items():
        drawn = lines[f"estimated {name}"].get_ydata()
        assert np.array_equal(drawn, curve["advantage"])
