"""Competing methods are compared with `corrected` at equal compute, and only there."""

import pytest

from bench import bench, rows
from bench.answers import accuracy
from bench.answers import page as answers
from bench.answers.records import MissingError, Records
from bench.equal_compute_page import EQUAL_COMPUTE, TITLE, conclusion, retrainings, section
from bench.transfer_page import markdown
from trainorder.config.loading import load_config
from trainorder.storage.formats import read_json, write_json
from transfer_records import cell, entry
from workflow_tree import ROOT

pytestmark = pytest.mark.slow

MEASURED = ROOT / "docs/measured"
OURS = "corrected-runs24@reference"
GAINS = {
    "ridge": {"value": 0.7, "low": 0.4, "high": 0.9, "n": 32},
    "proxy": {"value": 0.01, "low": -0.1, "high": 0.2, "n": 8},
}


def own_row():
    [one] = [one for one in rows.cells() if one.values["group"] == EQUAL_COMPUTE]
    return one


def compared(fit=48.0, **changes):
    """Return a made-up record of the row: `corrected` uses 24 + 2 + 48 / 4 retrainings in all."""
    few = {**entry(0.95)["order_lds"], "n": 8}
    methods = {
        "constant@reference": entry(None, 1.0, 0.0),
        "ridge": entry(0.3, 0.97, 0.0, fit, verdict="not trusted"),
        "adjoint@reference": entry(None, 1.0, 0.0, 44.0, verdict="not trusted"),
        OURS: entry(0.9, 0.2, per_order=0.25),
        "proxy": entry(0.95, 0.6, 0.0, 60.0, order_lds=few),
    }
    return {
        **cell("compared", group=EQUAL_COMPUTE, config=own_row().study.config()),
        "ladder": {"estimator": OURS, "levels": [], "selected": 8},
        "estimators": methods,
        "rank_gains": GAINS,
        **changes,
    }


def page_of(*cells):
    """Return the page of these rows and of a plain study."""
    config = rows.cells()[0].study.config()
    return markdown({"cells": [cell("plain", config=config, level=entry(0.8)), *cells]})


def test_the_row_is_the_default_study_with_other_methods_and_orders_to_fit(top):
    config, default = own_row().study.config(), load_config("config.yaml")
    for key in ("seeds", "corpus", "model", "optimizer", "window", "ladder", "expansion"):
        assert config[key] == default[key], f"{key} differs from the default study"
    for split in ("calibration", "random"):
        assert config["orders"][split] == default["orders"][split], f"other {split} orders"
    assert {one["method"] for one in config["estimators"]} == {
        "constant",
        *rows.COMPETING_METHODS,
    }
    known = [{**one, "orders": None} for one in default["estimators"]]
    assert all({**one, "orders": None} in known for one in config["estimators"])


def test_fitted_methods_have_at_least_as_many_retrainings_as_ours_uses_in_all(top):
    default, orders = read_json(MEASURED / "default.json"), own_row().study.config()["orders"]
    cost, every = default["estimators"][OURS], default["retrain_all"]
    evaluation = every["total_retrainings"] / every["orders"] - 1
    estimates = orders["random"] * (cost["per_order_retrainings"] + evaluation)
    before = cost["precompute_retrainings"] + cost["selection_retrainings"]
    known_runs = 24
    total = known_runs + before + estimates
    assert orders["fit"] >= total, "the baselines have less compute than `corrected`"
    assert orders["fit"] < 1.25 * total, "this is not equal compute"


def test_known_runs_count_in_the_retrainings_of_a_method():
    assert retrainings(OURS, entry(per_order=0.25)) == 24 + 2 + 48 * 0.25
    assert retrainings("ridge", entry(per_order=0.0, precompute=48.0)) == 48


def test_the_table_lists_methods_by_order_lds_with_all_their_retrainings(top):
    [title, text, shown, _] = section({"cells": [compared()]})
    assert title == TITLE
    assert "`ridge` and `proxy` are fitted on 48 retrained orders." in text
    assert "the 24 known runs" in text
    assert "40 calibration and 48 random orders" in text
    assert shown.splitlines()[2:] == [
        "| `proxy` | 0.95 [0.85, 1.00], 8 | 0.6 | 60 | trusted |",
        f"| `{OURS}` | 0.90 [0.80, 0.95], 32 | 0.2 | 38 | trusted |",
        "| `ridge` | 0.30 [0.20, 0.35], 32 | 0.97 | 48 | not trusted |",
        "| `adjoint@reference` | undefined, 32 | 1 | 44 | not trusted |",
    ]


def test_the_winner_estimates_all_orders_and_a_tie_is_named(top):
    assert conclusion(compared()) == (
        f"Of the methods that estimate all 32 random orders, `{OURS}` has the highest order-LDS, "
        f"0.90 [0.80, 0.95]. Each other method uses at least as many retrainings as `{OURS}`. "
        f"The order-LDS of `{OURS}` minus that of another method, with its interval from paired "
        "resamples of the orders that both estimate, excludes a tie with `ridge` "
        "(0.7 [0.4, 0.9], n = 32); it does not exclude a tie with `proxy` "
        "(0.01 [-0.1, 0.2], n = 8)."
    )


def test_a_competing_method_can_win(top):
    better = compared()
    better["estimators"]["ridge"] = entry(0.97, 0.1, 0.0, 48.0)
    better["rank_gains"] = {"ridge": {"value": -0.07, "low": -0.1, "high": -0.01, "n": 32}}
    text = conclusion(better)
    assert "`ridge` has the highest order-LDS, 0.97" in text
    assert "excludes a tie with `ridge` (-0.07 [-0.1, -0.01], n = 32)." in text


def test_nothing_is_said_of_ties_without_paired_differences(top):
    undefined = {"ridge": {"value": None, "low": None, "high": None, "n": 32}}
    for gains in ({}, undefined):
        assert "tie" not in conclusion(compared(rank_gains=gains))


def test_a_method_with_less_compute_is_named(top):
    text = conclusion(compared(fit=8.0))
    assert f"`ridge` uses fewer retrainings than `{OURS}`; the others use at least as many." in text


def test_the_section_is_missing_where_the_row_is_not_measured_or_diverged(top):
    assert section({"cells": [cell("plain", level=entry())]}) == []
    diverged = {key: compared()[key] for key in ("label", "values", "made", "config")}
    assert section({"cells": [diverged]}) == []
    assert TITLE not in page_of()


def test_the_row_is_no_study_of_transfer(top):
    """It repeats the default study, so the other tables and the rule for new studies lack it."""
    page, row = page_of(compared()), compared()
    assert page.count(TITLE) == 1
    before, own = page.split(TITLE)
    assert "`ridge`" not in before
    assert "| compared | `" in before, "its time is not in the table of times"
    assert before.count("| compared |") == 1
    assert "`ridge`" in own
    assert [one["study"] for one in bench.reached({"cells": [row]})] == []


def test_the_answer_to_the_published_study_quotes_the_row(top):
    plain = cell("plain", level=entry())
    with pytest.raises(MissingError):
        accuracy.equal_compute(Records(read={"transfer": {"cells": [plain]}}))
    text = accuracy.equal_compute(Records(read={"transfer": {"cells": [plain, compared()]}}))
    assert "`ridge` 0.3 [0.2, 0.35] (48)" in text
    assert f"`{OURS}` 0.9 [0.8, 0.95] (38)" in text


def test_the_command_can_measure_this_row_first(top):
    write_json(top / "docs/measured/transfer.json", {"cells": [compared()]})
    for page in (bench.CLASSES, answers.PAGE):
        (top / page).write_text((ROOT / page).read_text(encoding="utf-8"), encoding="utf-8")
    bench.main(["--only", own_row().name])
    text = (top / "docs/measured/transfer.md").read_text(encoding="utf-8")
    assert TITLE in text
    assert "default, baselines at equal compute: `ridge` and `proxy`" in text
    assert read_json(top / bench.RULE) == {"studies": []}
