"""The kinds of orders, the distance of two schedules, and orders from a user's file."""

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kendalltau

from trainorder.config.sections.orders import OrdersConfig
from trainorder.config.sections.window import WindowConfig
from trainorder.errors import UserError
from trainorder.orders.generate import further_schedules, study_orders
from trainorder.orders.kendall import kendall_distance
from trainorder.orders.order import Order
from trainorder.orders.order_book import OrderBook, read_records
from trainorder.orders.user_files import check_order, read_orders, read_reference

DOMAINS = ["sea", "hill", "mixed", "hill", "sea", "sea", "hill", "sea"]
LOSSES = np.array([3.0, 1.0, 2.5, 2.0, 5.0, 4.0, 0.5, 1.5])
UNITS = len(DOMAINS)
CONFIG = OrdersConfig(calibration=3, random=4, fit=2, block_sizes=[2, 4], custom=None)


def window(units=UNITS, units_per_step=1, epochs=1):
    return WindowConfig(
        warmup_steps=0,
        units=units,
        unit_size=1,
        units_per_step=units_per_step,
        epochs=epochs,
        mixed_fraction=0.0,
    )


def study_book(seed=0, **shape):
    return study_orders(CONFIG, window(**shape), seed, DOMAINS, LOSSES)


SHAPES = [{}, {"units_per_step": 2}, {"epochs": 2}, {"units_per_step": 4, "epochs": 3}]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_every_order_visits_each_unit_once_per_epoch(shape):
    for order in study_book(**shape).values():
        assert order.schedule.shape == (window(**shape).steps, shape.get("units_per_step", 1))
        counts = np.bincount(order.schedule.ravel(), minlength=UNITS)
        assert (counts == shape.get("epochs", 1)).all(), order.name


def test_each_split_has_the_configured_number_of_orders():
    splits = [order.split for order in study_book().values()]
    counted = {split: splits.count(split) for split in dict.fromkeys(splits)}
    assert counted == CONFIG.counts, "the check of shards allows a job without orders"


def test_the_reference_comes_first_and_names_are_distinct():
    orders = study_book()
    [first, *others] = orders.values()
    assert first is orders.reference
    assert first.name == first.split == "reference"
    assert "reference" not in {order.split for order in others}
    assert len({order.name for order in orders.values()}) == len(orders)


def test_a_given_reference_changes_the_structured_but_not_the_random_orders():
    given = np.arange(UNITS)[:, None]
    drawn = study_book()
    orders = study_orders(CONFIG, window(), 0, DOMAINS, LOSSES, given)
    assert next(iter(orders)) == orders.reference.split == "reference"
    assert np.array_equal(orders.reference.schedule, given)
    assert np.array_equal(orders["reversed"].schedule, given[::-1])
    assert orders["block-2"].schedule.ravel()[:2].tolist() in ([0, 1], [1, 0])
    for name, order in drawn.items():
        if order.kind == "random":
            same = np.array_equal(orders[name].schedule, order.schedule)
            assert same, f"{name} depends on the reference"


def test_the_order_of_a_run_is_the_only_one_of_its_file(tmp_path):
    path = tmp_path / "order.json"
    visits = [3, 1, 2, 0, 7, 6, 5, 4]
    path.write_text(json.dumps({"name": "as-trained", "schedule": visits}))
    assert read_reference(path, window()).tolist() == [[unit] for unit in visits]
    (tmp_path / "order.csv").write_text("name," + "x," * 8 + "\nmine," + ",".join(map(str, visits)))
    assert read_reference(tmp_path / "order.csv", window(units_per_step=2)).shape == (4, 2)


@pytest.mark.parametrize(
    ("orders", "message"),
    [
        ([{"name": "a", "schedule": list(range(8))}, {"name": "b", "schedule": list(range(8))}],
         "order.json: 2 orders; expected the one order of the run"),
        ([{"name": "a", "kind": "free", "schedule": [0] * 8}], "order 'a': `kind` is free"),
        ([{"name": "a", "schedule": [0] * 8}], "order.json: order 'a': not a permutation"),
        ([{"name": "a", "schedule": list(range(7))}], "order.json: order 'a': 7 places"),
        ([], "order.json: no orders"),
    ],
    ids=["two", "free", "no permutation", "short", "none"],
)  # fmt: skip
def test_an_order_that_cannot_be_that_of_a_run_raises_one_line(tmp_path, orders, message):
    (tmp_path / "order.json").write_text(json.dumps({"orders": orders}))
    with pytest.raises(UserError, match=message) as error:
        read_reference(tmp_path / "order.json", window())
    assert "\n" not in str(error.value)


def test_random_orders_differ_from_each_other_and_between_splits():
    drawn = [tuple(o.schedule.ravel()) for o in study_book().values() if o.kind == "random"]
    assert len(set(drawn)) == len(drawn), "two random orders are equal"


def test_the_same_seed_gives_the_same_orders_and_another_seed_other_ones():
    def schedules(seed):
        return {name: order.schedule.tolist() for name, order in study_book(seed).items()}

    assert schedules(1) == schedules(1)
    assert schedules(1) != schedules(2)


def test_more_orders_do_not_change_the_first_ones():
    more = OrdersConfig(calibration=5, random=9, fit=7, block_sizes=[4, 8], custom=None)
    larger = study_orders(more, window(), 0, DOMAINS, LOSSES)
    for name in larger.keys() & study_book().keys():
        same = np.array_equal(larger[name].schedule, study_book()[name].schedule)
        assert same, f"{name} depends on the number of orders"


def test_reversed_is_the_reference_backwards():
    orders = study_book()
    backwards = orders["reference"].schedule[::-1]
    assert np.array_equal(orders["reversed"].schedule, backwards)
    assert orders["reversed"].as_dict(orders["reference"])["kendall"] == 1.0


def test_orders_by_domain_have_one_block_per_domain():
    for name, domains in (
        ("domain-sorted", ["hill", "mixed", "sea"]),
        ("domain-sorted-reversed", ["sea", "mixed", "hill"]),
    ):
        visited = [DOMAINS[unit] for unit in study_book()[name].schedule.ravel()]
        assert [domain for domain, _ in itertools.groupby(visited)] == domains, name


def test_interleaved_takes_the_domains_in_turn():
    visited = [DOMAINS[unit] for unit in study_book()["interleaved"].schedule.ravel()]
    assert visited == ["hill", "mixed", "sea", "hill", "sea", "hill", "sea", "sea"]


def test_orders_by_difficulty_follow_the_losses():
    orders = study_book()
    rising = LOSSES[orders["easy-to-hard"].schedule.ravel()]
    assert (np.diff(rising) > 0).all()
    assert np.array_equal(
        orders["hard-to-easy"].schedule.ravel(), orders["easy-to-hard"].schedule.ravel()[::-1]
    )


@pytest.mark.parametrize("size", [2, 4])
def test_a_block_shuffled_order_keeps_each_unit_in_its_block(size):
    orders = study_book()
    blocks = orders[f"block-{size}"].schedule.reshape(-1, size)
    reference = orders["reference"].schedule.reshape(-1, size)
    assert np.array_equal(np.sort(blocks), np.sort(reference))


def test_larger_blocks_go_further_from_the_reference():
    def distance(size):
        config = OrdersConfig(calibration=0, random=2, fit=0, block_sizes=[size], custom=None)
        orders = study_orders(config, window(units=64), 0, ["sea"] * 64, np.arange(64.0))
        return kendall_distance(orders[f"block-{size}"].schedule, orders.reference.schedule)

    distances = [distance(size) for size in (2, 8, 64)]
    assert distances == sorted(distances)
    assert distances[0] > 0


@settings(max_examples=60, deadline=None, derandomize=True, database=None)
@given(st.permutations(range(9)), st.permutations(range(9)))
def test_kendall_distance_is_that_of_scipy(a, b):
    tau = kendalltau(np.argsort(a), np.argsort(b)).statistic
    distance = kendall_distance(np.array(a)[:, None], np.array(b)[:, None])
    assert distance == pytest.approx((1 - tau) / 2, abs=1e-12)
    assert distance == kendall_distance(np.array(b)[:, None], np.array(a)[:, None])


def test_kendall_distance_omits_pairs_of_one_step():
    one = np.array([[0, 1], [2, 3]])
    assert kendall_distance(one, np.array([[1, 0], [3, 2]])) == 0.0
    assert kendall_distance(one, np.array([[2, 3], [0, 1]])) == 1.0
    assert kendall_distance(one, np.array([[0, 2], [1, 3]])) == 0.5  # 0 3 stays, 1 2 turns
    assert kendall_distance(one, np.array([[3], [0], [1], [2]])) == 0.5


def test_kendall_distance_matches_repeated_visits_and_ignores_missing_units():
    twice = np.array([0, 1, 0, 1])[:, None]
    assert kendall_distance(twice, twice) == 0.0
    assert kendall_distance(np.array([0, 2, 1])[:, None], np.array([0, 1, 0])[:, None]) == 0.0


def test_written_orders_are_read_back(tmp_path):
    orders = study_book()
    path = tmp_path / "orders.json"
    content = orders.as_dict("mine", window(), LOSSES)
    content["orders"][1]["units"] = [3]
    path.write_text(json.dumps(content))
    loaded = OrderBook.load(path)
    for order, other in zip(orders.values(), loaded.values(), strict=True):
        assert (order.name, order.kind, order.split) == (other.name, other.kind, other.split)
        assert np.array_equal(order.schedule, other.schedule)
    assert loaded.unit_domains == orders.unit_domains == DOMAINS
    assert loaded.units_of_interest == {"calibration-0000": [3]}
    assert list(read_records(path).values()) == content["orders"]


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"orders": [{"name": "a"}]}', None])
def test_damaged_orders_name_the_file_and_the_rule(tmp_path, content):
    path = tmp_path / "orders.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError) as caught:
        OrderBook.load(path)
    assert str(path) in str(caught.value)
    assert "rerun rule `orders`" in str(caught.value)


def test_bounds_take_the_first_orders_of_each_split():
    chosen = study_book().bounded({"calibration": 0, "random": 2, "structured": 1})
    names = [order.name for order in chosen]
    assert names == ["reference", "random-0000", "random-0001", "reversed"]


def test_orders_to_fit_on_are_never_estimated():
    orders = study_book()
    estimated = {order.name for order in orders.bounded({})}
    assert orders.keys() - estimated == {"fit-0000", "fit-0001"}
    assert [order.name for order in orders.fit] == ["fit-0000", "fit-0001"]


def test_the_proxy_is_retrained_only_on_orders_that_it_is_fitted_on_or_estimates():
    orders, bounds = study_book(), {"calibration": 0, "random": 1, "structured": 0}
    names = [order.name for order in orders.to_retrain(bounds)]
    assert names == ["fit-0000", "fit-0001", "reference", "random-0000"]
    assert orders.to_retrain(None) == list(orders.values())


@pytest.mark.parametrize("count", [0, 1, 4, 40])
def test_half_of_the_followed_orders_are_structured(count):
    orders = study_book()
    names = orders.followed(count)
    assert len(names) <= count
    assert len(set(names)) == len(names)
    structured = sum(orders[name].split == "structured" for name in names)
    assert structured <= max(1, count // 2) or count == 0


FLAT = [3, 1, 0, 2]
STEPS = [[3, 1], [0, 2]]


def written(tmp_path, content):
    path = tmp_path / "mine.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


@pytest.mark.parametrize("schedule", [FLAT, STEPS], ids=["flat", "by step"])
@pytest.mark.parametrize("wrap", [lambda o: o, lambda o: [o], lambda o: {"orders": [o]}])
def test_a_custom_schedule_may_be_flat_or_a_list_of_steps(tmp_path, schedule, wrap):
    path = written(tmp_path, wrap({"name": "mine", "schedule": schedule}))
    [order] = read_orders(path, window(4, 2))
    assert (order.name, order.split) == ("mine", "custom")
    assert order.schedule.tolist() == STEPS


def test_a_free_order_may_repeat_and_omit_units(tmp_path):
    path = written(tmp_path, {"name": "mine", "kind": "free", "schedule": [0, 0, 1, 1]})
    [order] = read_orders(path, window(4, 2))
    assert order.schedule.tolist() == [[0, 0], [1, 1]]


def one(schedule, **more):
    return {"name": "mine", "schedule": schedule, **more}


BAD = {
    "not JSON": ("{", "not readable as JSON"),
    "not text": ("\ud800".encode("utf-8", "surrogatepass").decode("latin-1"), "JSON"),
    "a number": (3, "no orders"),
    "empty list": ([], "no orders"),
    "empty mapping of orders": ({"orders": []}, "no orders"),
    "orders is not a list": ({"orders": {"name": "mine"}}, "no orders"),
    "not an object": (["0, 1, 2, 3"], "order 0: needs the keys"),
    "no schedule": ([{"name": "mine"}], "order 'mine': needs the keys"),
    "empty object": ({}, "no orders"),
    "orders misspelt": ({"order": [FLAT]}, "unknown key 'order'; expected `orders`"),
    "a key beside orders": ({"orders": [FLAT], "seed": 1}, "unknown key 'seed'; expected"),
    "an order's key beside orders": ({"orders": [FLAT], "kind": "free"}, "unknown key 'kind'"),
    "name misspelt": (
        {"nmae": "mine", "schedule": FLAT},
        "order 0: unknown key 'nmae'; an order has `name`, `schedule` and `kind`",
    ),
    "schedule misspelt": ([{"name": "mine", "shedule": FLAT}], "'mine': unknown key 'shedule'"),
    "a key of two lines": ({"or\nders": []}, "unknown key"),
    "no name": ({"schedule": FLAT}, "order 0: needs the keys"),
    "name is a number": ({"name": 1, "schedule": FLAT}, "order 0: `name`"),
    "name is empty": ({"name": "", "schedule": FLAT}, "order 0: `name`"),
    "empty schedule": (one([]), "whole numbers"),
    "schedule is text": (one("3102"), "whole numbers"),
    "schedule is null": (one(None), "whole numbers"),
    "floats": (one([3.0, 1.0, 0.0, 2.0]), "whole numbers"),
    "truth values": (one([True, False, True, False]), "whole numbers"),
    "a truth value among numbers": (one([3, True, False, 2]), "whole numbers"),
    "a truth value in a step": (one([[3, True], [0, 2]]), "whole numbers"),
    "too deep to read": ("[" * 100_000, "not readable as JSON"),
    "a duplicate key": (
        '{"name": "mine", "schedule": [0, 0, 0, 0], "schedule": [3, 1, 0, 2]}',
        "duplicate key 'schedule' in one object",
    ),
    "a name that is not valid Unicode": (
        {"name": "a\ud800", "schedule": FLAT},
        "contains '\\ud800'",
    ),
    "a name of two lines": ({"name": "a\nb", "schedule": FLAT}, "`name` contains '\\n'"),
    "a huge number": (one([3, 1, 0, 2**70]), "whole numbers"),
    "a large number": (one([3, 1, 0, 2**62]), "does not exist"),
    "ragged steps": (one([[3, 1], [0]]), "different lengths"),
    "too short": (one([3, 1, 0]), "3 places, but the window has 2 steps of 2"),
    "too long": (one([3, 1, 0, 2, 0]), "5 places"),
    "steps of another width": (one([[3, 1, 0, 2]]), "1 x 4 places"),
    "too deep": (one([[[3, 1], [0, 2]]]), "1 x 2 x 2 places"),
    "unknown unit": (one([3, 1, 0, 4]), "unit 4 does not exist; expected units 0..3"),
    "negative unit": (one([3, 1, 0, -1]), "unit -1 does not exist"),
    "not a permutation": (one([3, 1, 0, 0]), "not a permutation: unit 0 occurs 2 times"),
    "unknown kind": (one(FLAT, kind="Free"), "`kind` is 'Free'"),
    "kind is a list": (one(FLAT, kind=["free"]), "`kind` is ['free']"),
    "misspelt key": (one(FLAT, knd="free"), "unknown key 'knd'"),
    "two of one name": ([one(FLAT), one(FLAT)], "duplicate name"),
    "free, unknown unit": (one([3, 1, 0, 9], kind="free"), "unit 9"),
}


@pytest.mark.parametrize("case", BAD)
def test_an_invalid_order_raises_one_line_with_the_file_and_the_order(tmp_path, case):
    content, expected = BAD[case]
    path = written(tmp_path, content)
    with pytest.raises(UserError) as caught:
        read_orders(path, window(4, 2))
    message = str(caught.value)
    assert str(path) in message
    assert expected in message
    if "'name': 'mine', 'schedule'" in str(content):
        assert "'mine'" in message
    assert "\n" not in message


SCHEDULE = list(range(UNITS))


@pytest.mark.parametrize("name", [*study_book(), "random-0", "random-9999", "block-64"])
def test_names_that_a_study_gives_are_reserved(tmp_path, name):
    """Names that only a larger study gives are reserved too, so a file is valid for all studies."""
    path = written(tmp_path, {"name": name, "schedule": SCHEDULE})
    for read in (lambda: read_orders(path, window()), lambda: Order.from_json(path)):
        with pytest.raises(UserError, match=f"'{name}': the name is reserved .* the study; rename"):
            read()


@pytest.mark.parametrize("name", ["my-reversed", "random", "random-0001b", "local-search", "Fit-1"])
def test_names_that_no_study_gives_are_accepted(tmp_path, name):
    path = written(tmp_path, {"name": name, "schedule": SCHEDULE})
    assert [order.name for order in read_orders(path, window())] == [name]
    assert Order.from_json(path).name == name


def test_the_order_of_a_run_may_be_called_as_the_study_calls_it(tmp_path):
    path = written(tmp_path, {"name": "reference", "schedule": SCHEDULE})
    assert read_reference(path, window()).ravel().tolist() == SCHEDULE


def test_custom_orders_are_added_to_those_of_the_study(tmp_path):
    path = written(tmp_path, {"name": "mine", "schedule": SCHEDULE})
    config = replace(CONFIG, custom=str(path))
    names = list(study_orders(config, window(), 0, DOMAINS, LOSSES))
    assert names == [*study_book(), "mine"]
    written(tmp_path, {"name": "random-0001", "schedule": SCHEDULE})
    with pytest.raises(UserError, match=r"'random-0001': the name is reserved"):
        study_orders(config, window(), 0, DOMAINS, LOSSES)


def test_a_name_instead_of_an_order_raises():
    with pytest.raises(UserError, match=r"'reversed' is not an order; .*study\.orders") as caught:
        check_order("reversed", window())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("epochs", [1, 2])
def test_further_schedules_fill_the_window_and_are_no_orders_of_the_study(epochs):
    shape = window(units_per_step=2, epochs=epochs)
    further = further_schedules(shape, 3, 4)
    config = OrdersConfig(calibration=4, random=4, fit=4, block_sizes=[], custom=None)
    study = study_orders(config, shape, 3, ["a"] * UNITS, np.zeros(UNITS))
    known = {order.schedule.tobytes() for order in study.values()}
    for schedule in further:
        assert schedule.shape == study.reference.schedule.shape
        assert sorted(schedule.flat) == sorted(study.reference.schedule.flat)
        assert schedule.tobytes() not in known, "the directions use the stream of other orders"
    assert len({schedule.tobytes() for schedule in further}) == 4
