"""The descriptors of methods: each is complete and agrees with the class that it names."""

from importlib import import_module

import pytest

from trainorder.config.estimator_names import CONFIRMING, SCREENING, method_of, parse_name
from trainorder.config.methods import METHODS, method_names
from trainorder.config.sections.estimator import EstimatorConfig
from trainorder.errors import UserError


@pytest.mark.parametrize("method", METHODS.values(), ids=lambda method: method.name)
def test_the_implementation_of_a_method_exists(method):
    module, _, name = method.implementation.rpartition(".")
    assert callable(getattr(import_module(module), name))


@pytest.mark.parametrize("method", METHODS.values(), ids=lambda method: method.name)
def test_a_method_reads_the_store_or_is_fitted(method):
    assert bool(method.reads) != method.fitted
    kinds = {"path", "table", "residuals", "curvature", "reduced", "effects"}
    assert set(method.reads) <= kinds
    assert method.rule != "predict" or len(method.reads) == 1
    assert method.summary


def test_a_method_reproduces_a_method_that_exists():
    unknown = {m.reproduces for m in METHODS.values()} - {"", *METHODS}
    assert not unknown, f"the figure of the stores would compare with unknown methods {unknown}"


def test_the_names_of_the_methods_are_unique_and_are_their_keys():
    assert [method.name for method in METHODS.values()] == list(METHODS)


@pytest.mark.parametrize(
    "config",
    [
        EstimatorConfig(method="fut", path="reference"),
        EstimatorConfig(method="fut++", path="barycentre"),
        EstimatorConfig(method="taylor1", path="reference", tail=12),
        EstimatorConfig(method="subsample", path="barycentre", size=10, tail=2),
        EstimatorConfig(method="corrected", path="reference", size=10, runs=4),
        EstimatorConfig(method="corrected", path="reference", size=10, runs=4, tail=2),
        EstimatorConfig(method="order0", path="reference"),
        EstimatorConfig(method="ridge"),
    ],
    ids=lambda config: config.name,
)
def test_the_name_of_an_estimator_is_parsed_into_its_configuration(config):
    assert EstimatorConfig.from_name(config.name) == config
    assert method_of(config.name).name == config.method


def test_the_name_states_the_number_of_known_runs():
    config = EstimatorConfig(method="corrected", path="reference", size=10, runs=4)
    assert config.name == "corrected10-runs4@reference"
    assert config.reads == ("path", "residuals", "known_runs")
    assert EstimatorConfig.from_name("corrected10@reference").reads == ("path", "residuals")


@pytest.mark.parametrize("name", ["", "magic@reference", "order0@mean", "fut-tail@reference"])
def test_an_unknown_estimator_name_raises(name):
    with pytest.raises(UserError, match="unknown estimator"):
        parse_name(name)


def test_the_estimators_of_searches():
    assert (SCREENING, CONFIRMING) == ("reduced@barycentre", "nystrom@barycentre")


def test_methods_are_selected_by_a_fact():
    assert method_names(lambda method: method.fitted) == ("ridge", "simfluence", "proxy")
    assert method_names(lambda method: method.expands_adam) == ("fut", "fut++")
