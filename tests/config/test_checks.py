"""An invalid configuration raises one line that names the key."""

import copy
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from configs import replaced
from trainorder.config.files import check_files
from trainorder.config.loading import load_config
from trainorder.config.methods import METHODS
from trainorder.config.sections.estimator import EstimatorConfig
from trainorder.config.sections.orders import OrdersConfig, orders_config
from trainorder.config.sections.window import WindowConfig
from trainorder.config.study_config import parse
from trainorder.errors import UserError

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "schemas" / "config.schema.yaml"
DEFAULT = load_config(ROOT / "config.yaml")
ORDERS = sum(OrdersConfig(**DEFAULT["orders"]).counts.values())
FIT = DEFAULT["orders"]["fit"]
PRESETS = sorted((ROOT / "presets").glob("*.yaml"))


def changed(**values):
    """Return the default configuration with values at dotted keys (`__` for the dot) replaced."""
    return replaced(DEFAULT, **values)


def without(section, key):
    """Return the default configuration without one key."""
    config = copy.deepcopy(DEFAULT)
    del (config[section] if section else config)[key]
    return config


def estimators(*entries):
    """Return the default configuration with these estimators."""
    return changed(estimators=list(entries))


def hub(**values):
    """Return the default configuration with this hub source."""
    return changed(corpus__source="hub", corpus__hub=values)


def order0(**keys):
    """Return a valid entry of the estimator `order0`, with further keys."""
    return {"method": "order0", "path": "reference", **keys}


RUN = {"checkpoints": str(ROOT), "order": str(SCHEMA)}
ONE_BY_ONE = [entry for entry in DEFAULT["estimators"] if entry["method"] != "corrected"]
UNPROXIED = [entry for entry in DEFAULT["estimators"] if entry["method"] != "proxy"]


def tokens(**values):
    """Return the default configuration with the source `tokens`."""
    return changed(corpus__source="tokens", **values)


def filed(**values):
    """Return it with a token file that does not exist."""
    return tokens(corpus__files=["a.safetensors"], **values)


FUT = {"method": "fut", "path": "reference", "guard": 1.0}
BARYCENTRE = {"method": "taylor1", "path": "barycentre"}
RIDGE = {"method": "ridge"}
CORRECTED = {"method": "corrected", "path": "reference", "size": 4}
PAIRS = {"corpus__prompt_column": "question", "corpus__response_column": "answer"}

BAD = {
    # misspelt, unknown and missing keys, at each level
    "top misspelt": (changed(estimaters=[]), "estimaters", "did you mean `estimators`"),
    "top unknown": (changed(zebra=1), "zebra", "unknown key"),
    "section misspelt": (changed(window__unit=8), "window.unit", "did you mean `units`"),
    "section unknown": (changed(optimizer__zebra=8), "optimizer.zebra", "known keys"),
    "option of the optimizer": (
        changed(optimizer__amsgrad=True),
        "optimizer.amsgrad",
        "supported are AdamW and SGD of torch.optim, without amsgrad, maximize and nesterov",
    ),
    "estimator misspelt": (estimators(order0(gaurd=1.0)), "estimators[0].gaurd", "`guard`"),
    "split misspelt": (
        estimators(order0(orders={"randm": 4})),
        "estimators[0].orders.randm",
        "`random`",
    ),
    "hub misspelt": (hub(name="a", spilt="train", split="train"), "corpus.hub.spilt", "`split`"),
    "key is a number": (changed() | {1: 2, "x": 3}, "1", "unknown key"),
    "section missing": (without("", "window"), "window", "missing key"),
    "key missing": (without("optimizer", "beta2"), "optimizer.beta2", "missing key"),
    "hub key missing": (hub(name="a"), "corpus.hub.split", "missing key"),
    "misspelt where it is missing, too": (changed(model__lora={"r": 4}), "model.lora.r", "unknown"),
    "method missing": (estimators({"path": "reference"}), "estimators[0].method", "missing key"),
    # wrong types
    "exponent as text": (
        changed(optimizer__learning_rate="1e-3"),
        "optimizer.learning_rate",
        "with a dot",
    ),
    "nullable exponent as text": (
        changed(optimizer__gradient_clip="1e0"),
        "optimizer.gradient_clip",
        "with a dot",
    ),
    "number as text": (changed(window__units="32"), "window.units", "is text, not a number"),
    "number as Snakemake's --config passes it": (
        changed(optimizer__learning_rate="0.001"),
        "optimizer.learning_rate",
        "use --configfile",
    ),
    "whole float": (changed(window__units=32.0), "window.units", "integer"),
    "unknown device": (changed(device="gpu"), "device", "cuda"),
    "truth value": (changed(threads=True), "threads", "integer"),
    "not a number": (changed(optimizer__learning_rate=float("nan")), "learning_rate", "number"),
    "infinite": (changed(optimizer__epsilon=float("inf")), "optimizer.epsilon", "number"),
    "null section": (changed(model=None), "model", "a mapping"),
    "null seed": (changed(seeds__init=None), "seeds.init", "integer"),
    "list for a text": (changed(study=["a"]), "study", "a text"),
    "text for a list": (changed(orders__block_sizes=2), "orders.block_sizes", "a list"),
    "hub is text": (changed(corpus__hub="wikitext"), "corpus.hub", "a mapping"),
    "hub name is a number": (hub(name=3, split="train"), "corpus.hub.name", "a text"),
    "estimator is text": (estimators("order0"), "estimators[0]", "a mapping"),
    # out of range
    "study leaves its folder": (
        changed(study="../elsewhere"),
        "study",
        "is not a name; use letters",
    ),
    "study ends its line": (changed(study="mine\n"), "study", "is not a name; use letters"),
    "study is empty": (changed(study=""), "study", "is not a name; use letters"),
    "negative seed": (changed(seeds__order=-1), "seeds.order", "must be at least"),
    "no threads": (changed(threads=0), "threads", "must be at least"),
    "rate zero": (changed(optimizer__learning_rate=0.0), "optimizer.learning_rate", "0"),
    "rate beyond the largest float": (
        changed(optimizer__learning_rate=1.0e38),
        "optimizer.learning_rate",
        "must be at most",
    ),
    "beta one": (changed(optimizer__beta1=1.0), "optimizer.beta1", "1"),
    "negative decay": (
        changed(optimizer__weight_decay=-0.1),
        "optimizer.weight_decay",
        "must be at least",
    ),
    "clip zero": (changed(optimizer__gradient_clip=0), "optimizer.gradient_clip", "0"),
    "unknown optimizer": (
        changed(optimizer__name="adagrad"),
        "optimizer.name",
        "expected adamw or sgd, not 'adagrad'",
    ),
    "momentum one": (changed(optimizer__momentum=1.0), "optimizer.momentum", "1"),
    "no momentum": (changed(optimizer__momentum=None), "optimizer.momentum", "number"),
    "unknown schedule": (changed(optimizer__schedule="step"), "optimizer.schedule", "cosine"),
    "stable rate without a decay": (
        changed(optimizer__schedule="warmup_stable_decay"),
        "optimizer.decay_steps",
        "set it",
    ),
    "more decay than steps": (
        changed(optimizer__schedule="warmup_stable_decay", optimizer__decay_steps=613),
        "optimizer.decay_steps",
        "20 warm-up steps and 613 decay steps are more than the 632 steps",
    ),
    "a share of one": (changed(optimizer__decay_steps=1.0), "optimizer.decay_steps", "1"),
    "too few rates": (
        changed(optimizer__rates=[0.1] * 32),
        "optimizer.rates",
        "32 rates, but warm-up training and window needs 632",
    ),
    "too many rates of a run": (
        filed(run=RUN, optimizer__rates=[0.1] * 633, estimators=UNPROXIED),
        "optimizer.rates",
        "633 rates, but the window needs 32 to 632",
    ),
    "negative rate": (changed(optimizer__rates=[-0.1]), "optimizer.rates[0]", "at least"),
    "no rates": (changed(optimizer__rates=[]), "optimizer.rates", "at least 1 entry"),
    "one rate": (changed(optimizer__rates=0.1), "optimizer.rates", "expected a list"),
    "a rate of text": (changed(optimizer__rates=["1e-3"]), "optimizer.rates[0]", "with a dot"),
    "rates in a path that is invalid": (changed(optimizer__rates="a\n"), "optimizer.rates", "\\n"),
    "decay steps of text": (changed(optimizer__decay_steps="9"), "optimizer.decay_steps", "text"),
    "no decay steps": (changed(optimizer__decay_steps=0), "optimizer.decay_steps", "at least"),
    "rates of another type": (changed(optimizer__rates="a.json"), "optimizer.rates", ".csv"),
    "a revision of a new model": (changed(model__revision="v1"), "model.revision", "model.source"),
    "a revision of a folder": (
        changed(model__source=str(ROOT), model__revision="v1", estimators=UNPROXIED),
        "model.revision",
        "is a local folder",
    ),
    "an unknown rule of decay": (
        changed(optimizer__no_decay="norms"),
        "optimizer.no_decay",
        "or a list",
    ),
    "an invalid pattern of decay": (
        changed(optimizer__no_decay=["norm", "("]),
        "optimizer.no_decay",
        "`(` is not a regular expression",
    ),
    "fraction above one": (
        changed(window__mixed_fraction=1.5),
        "window.mixed_fraction",
        "must be at most",
    ),
    "one unit": (changed(window__units=1), "window.units", "must be at least"),
    "one random order": (changed(orders__random=1), "orders.random", "must be at least"),
    "block of one": (changed(orders__block_sizes=[1]), "orders.block_sizes[0]", "must be at least"),
    "vocabulary below bytes": (
        changed(corpus__vocabulary=256),
        "corpus.vocabulary",
        "must be at least",
    ),
    "one anchor": (changed(expansion__anchors=1), "expansion.anchors", "must be at least"),
    "coverage one": (changed(validation__coverage=1.0), "validation.coverage", "1"),
    "few resamples": (changed(validation__resamples=1), "validation.resamples", "must be at least"),
    "no shards": (changed(shards__truth=0), "shards.truth", "must be at least"),
    "no estimators": (estimators(), "estimators", ""),
    "unknown source": (changed(corpus__source="web"), "corpus.source", "packages"),
    "unknown method": (estimators(order0(method="magic")), "estimators[0].method", "taylor1"),
    "negative tail": (estimators(order0(tail=-1)), "estimators[0].tail", "must be at least"),
    "path empty": (estimators(order0(path="")), "order0: path", "barycentre"),
    "unknown path": (estimators(order0(path="mean")), "estimators[0].path", "barycentre"),
    "guard zero": (estimators(FUT | {"guard": 0}), "estimators[0].guard", "0"),
    # more jobs than work
    "table shards above the anchors": (
        changed(expansion__anchors=4, shards__table=5),
        "shards.table",
        "4 anchors",
    ),
    "table shards above the steps": (changed(shards__table=33), "shards.table", "32 anchors"),
    "a search without its estimators": (
        changed(estimators=[order0()]),
        "curriculum",
        "nystrom@barycentre",
    ),
    "maps without their estimator": (
        changed(curriculum=None, estimators=[order0()]),
        "memorization",
        "reduced@barycentre",
    ),
    "a search in two epochs": (changed(window__epochs=2), "curriculum", "set window.epochs to 1"),
    "a pinned unit that does not exist": (
        changed(curriculum__pinned=[{"unit": 32, "step": 0}]),
        "curriculum.pinned",
        "unit 32 does not exist; use a unit from 0 to 31",
    ),
    "a step that does not exist": (
        changed(curriculum__pinned=[{"unit": 0, "step": 32}]),
        "curriculum.pinned",
        "step 32 does not exist",
    ),
    "a unit pinned twice": (
        changed(curriculum__pinned=[{"unit": 1, "step": 0}, {"unit": 1, "step": 2}]),
        "curriculum.pinned",
        "twice",
    ),
    "a quota of an empty span": (
        changed(curriculum__quotas=[{"domain": "code", "first": 9, "last": 3}]),
        "curriculum.quotas",
        "steps 9 to 3",
    ),
    "a weight that is text": (
        changed(curriculum__objective=[{"metric": "heldout", "weight": "much"}]),
        "curriculum.objective[0].weight",
        "number",
    ),
    "a metric named twice": (
        changed(curriculum__objective=[{"metric": "heldout", "weight": 1.0}] * 2),
        "curriculum.objective",
        "duplicate metric",
    ),
    "a search by steps without known runs": (
        changed(curriculum__method="steps", estimators=ONE_BY_ONE),
        "curriculum.method",
        "add {method: corrected, path: reference, runs: 24} to estimators",
    ),
    "too few fresh random orders": (changed(curriculum__fresh=2), "curriculum.fresh", "at least 3"),
    "more fresh random orders than random ones": (
        changed(curriculum__fresh=89),
        "curriculum.fresh",
        "lower it, or raise orders.random",
    ),
    "an unknown key of the search": (changed(curriculum__rouds=3), "curriculum.rouds", "rounds"),
    "more readouts than steps": (
        changed(curriculum__readouts=33),
        "curriculum.readouts",
        "window of 32 steps",
    ),
    "more averaged states than steps": (
        changed(averaged_states=33),
        "averaged_states",
        "33 states in a window of 32 steps",
    ),
    "more choices than held-out sequences": (
        changed(multiple_choice=25),
        "multiple_choice",
        "25 choices from 24 held-out sequences",
    ),
    "more poisoned units than clean ones": (
        changed(window__poisoned=25),
        "window.poisoned",
        "25 is more than the 24 units of single domains",
    ),
    "poison in the sequences of a trainer": (
        changed(window__poisoned=1, corpus__source="tokens", corpus__files=["a.safetensors"]),
        "window.poisoned",
        "set it to 0",
    ),
    "one averaged state": (changed(averaged_states=1), "averaged_states", "2"),
    "truth shards above the orders": (
        changed(shards__truth=ORDERS - FIT + 1, estimators=[order0()]),
        "shards.truth",
        f"{ORDERS - FIT} orders",
    ),
    "truth shards above the orders, including those to fit on": (
        changed(shards__truth=ORDERS + 1, estimators=[RIDGE]),
        "shards.truth",
        f"{ORDERS} orders",
    ),
    "estimate shards above the orders": (
        changed(
            shards__estimate=5,
            estimators=[BARYCENTRE | {"orders": {"calibration": 0, "random": 2, "structured": 1}}],
        ),
        "shards.estimate",
        "4 orders of taylor1@barycentre",
    ),
    # keys that do not go together
    "ragged steps": (changed(window__units_per_step=5), "window.units_per_step", "divisor"),
    "step above the window": (
        changed(window__units_per_step=64, window__epochs=2),
        "window.units_per_step",
        "more than window.units",
    ),
    "block above the window": (
        changed(orders__block_sizes=[2, 33]),
        "orders.block_sizes",
        "33 is more than the 32 places of the window; set it to [2]",
    ),
    "block twice": (changed(orders__block_sizes=[2, 2]), "orders.block_sizes", "duplicate"),
    "anchors above the steps": (changed(expansion__anchors=33), "expansion.anchors", "32 steps"),
    "heads do not divide": (changed(model__heads=5), "model.hidden_size", "multiple"),
    "odd head size": (changed(model__hidden_size=4, model__heads=4), "model.hidden_size", "8"),
    "domain twice": (changed(corpus__domains=["code", "code"]), "corpus.domains", "duplicate"),
    "domain mixed": (changed(corpus__domains=["mixed"]), "corpus.domains", "rename"),
    "estimator twice": (estimators(FUT, FUT | {"guard": 2.0}), "estimators", "fut@reference"),
    "path missing": (estimators({"method": "order0"}), "order0: path", "barycentre"),
    "path of a fitted baseline": (
        estimators(RIDGE | {"path": "reference"}),
        "path",
        "remove this key",
    ),
    "no orders to fit on": (
        changed(orders__fit=3, estimators=[RIDGE]),
        "orders.fit",
        "at least 4",
    ),
    "tail above the window": (
        estimators(order0(tail=33)),
        "order0-tail33@reference: tail",
        "only 32 steps; set it to at most 32",
    ),
    "tail without a replay": (
        estimators({"method": "constant", "path": "reference", "tail": 2}),
        "tail",
        "order0",
    ),
    "tail of the published replay": (estimators(FUT | {"tail": 2}), "tail", "taylor1"),
    "recency without a tail": (
        estimators({"method": "recency", "path": "barycentre"}),
        "recency@barycentre: tail",
        "missing key; set the number of last steps that are trained",
    ),
    "corrected without a run": (
        estimators(CORRECTED | {"path": "barycentre"}),
        "corrected4@barycentre: path",
        "set it to reference",
    ),
    "corrected without a size and calibration orders": (
        estimators({"method": "corrected", "path": "reference", "orders": {"calibration": 0}}),
        "corrected@reference: size",
        "without calibration orders the ladder cannot select it",
    ),
    "two open sizes": (
        estimators(
            {"method": "corrected", "path": "reference"},
            {"method": "corrected", "path": "reference", "tail": 2},
        ),
        "corrected@reference, corrected-tail2@reference: size",
        "the ladder selects one size",
    ),
    "corrected with more than a unit": (
        estimators(CORRECTED | {"size": 65}),
        "corrected65@reference: size",
        "only 64 sequences; set it to at most 64",
    ),
    "corrected with more than a step of units": (
        changed(window__unit_size=1, window__units_per_step=2, estimators=[CORRECTED]),
        "corrected4@reference: size",
        "only 2 units of one sequence; set it to at most 2",
    ),
    "known runs of another method": (
        estimators(order0(runs=2)),
        "order0-runs2@reference: runs",
        "only corrected takes known runs",
    ),
    "more known runs than calibration orders": (
        changed(orders__calibration=8, estimators=[CORRECTED | {"runs": 9}]),
        "corrected4-runs9@reference: runs",
        "orders.calibration has only 8 orders",
    ),
    "guard on another method": (estimators(order0(guard=1.0)), "guard", "order0@reference"),
    "fut of another optimizer": (
        changed(optimizer__name="sgd", estimators=[order0(), FUT]),
        "optimizer.name",
        "fut@reference can expand only the update of Adam, not of sgd; remove",
    ),
    "clipping with fut": (
        changed(optimizer__gradient_clip=1.0, estimators=[FUT]),
        "optimizer.gradient_clip",
        "fut@reference",
    ),
    "files without files": (changed(corpus__source="files"), "corpus.files", "at least one file"),
    "missing text file": (
        changed(corpus__source="files", corpus__files=["absent.txt"]),
        "corpus.files",
        "absent.txt",
    ),
    "unknown kind of file": (
        changed(corpus__source="files", corpus__files=["text.docx"]),
        "corpus.files",
        ".parquet",
    ),
    "prompts alone": (
        changed(corpus__prompt_column="question"),
        "corpus.response_column",
        "pairs need prompt_column and response_column",
    ),
    "responses alone": (
        changed(corpus__response_column="answer"),
        "corpus.prompt_column",
        "pairs need prompt_column and response_column",
    ),
    "pairs of packages": (changed(**PAIRS), "corpus.prompt_column", "packages"),
    "pairs in a text file": (
        changed(**PAIRS, corpus__source="files", corpus__files=["letters.txt"]),
        "corpus.files: letters.txt",
        "use .jsonl or .parquet",
    ),
    "a prompt that is the response": (
        changed(corpus__prompt_column="text", corpus__response_column="text"),
        "corpus.response_column",
        "`text` is also prompt_column",
    ),
    "hub without a name": (changed(corpus__source="hub"), "corpus.hub", "needs a dataset"),
    "tokens without a file": (changed(corpus__source="tokens"), "corpus.files", "exactly one file"),
    "tokens in two files": (tokens(corpus__files=["a.safetensors"] * 2), "corpus.files", "one"),
    "tokens of another kind": (
        tokens(corpus__files=["a.jsonl"]),
        "corpus.files: a.jsonl",
        "a file of type .safetensors",
    ),
    "missing tokens": (tokens(corpus__files=["a.safetensors"]), "a.safetensors", "no such file"),
    "tokens with a tokenizer": (
        tokens(corpus__files=["a.safetensors"], corpus__tokenizer="mine"),
        "corpus.tokenizer",
        "set it to null",
    ),
    "a schedule that ends before the window": (
        changed(optimizer__horizon=631),
        "optimizer.horizon",
        "set it to at least that",
    ),
    "a run of text": (changed(run=RUN, curriculum=None), "run", "set corpus.source to `tokens`"),
    "a run without an order": (changed(run={"checkpoints": "."}), "run.order", "missing key"),
    "a run that is text": (changed(run="runs/mine"), "run", "a mapping"),
    "a run with a misspelt key": (changed(run={**RUN, "oder": ""}), "run.oder", "`order`"),
    "a run and a proxy": (
        filed(run=RUN, curriculum=None, memorization=None, estimators=[{"method": "proxy"}]),
        "estimators: `proxy`",
        "set run to null",
    ),
    "a run and replicates": (
        filed(run=RUN, curriculum__replicates=[{"seed": 1}], estimators=UNPROXIED),
        "curriculum.replicates",
        "set run to null",
    ),
    "a run that does not exist": (
        filed(run={**RUN, "checkpoints": "absent"}, estimators=UNPROXIED),
        "run.checkpoints: absent",
        "no such folder; correct this path",
    ),
    "an order that does not exist": (
        filed(run={**RUN, "order": "absent.json"}, estimators=UNPROXIED),
        "run.order: absent.json",
        "no such file; correct this path",
    ),
    "a path that is a pattern": (
        changed(corpus__source="files", corpus__files=["{x}.txt"]),
        "corpus.files[0]: '{x}.txt'",
        "contains '{', which Snakemake paths cannot; rename it",
    ),
    "a path with a NUL": (changed(orders__custom="a\0.json"), "orders.custom: 'a", "'\\x00'"),
    "a path of two lines": (filed(run={**RUN, "order": "a\nb"}), "run.order: 'a", "'\\n'"),
    "a folder with an invalid name": (changed(model__source="\ud800"), "model.source", "rename"),
    "missing order file": (changed(orders__custom="absent.json"), "orders.custom", "absent.json"),
    "missing model": (
        changed(model__source="./absent", estimators=UNPROXIED),
        "model.source: ./absent",
        "or give OWNER/NAME",
    ),
    "missing tokenizer": (
        changed(corpus__tokenizer="texts/of/mine"),
        "corpus.tokenizer: texts/of/mine",
        "no such folder",
    ),
}


@pytest.mark.parametrize("name", ["gpt2", "openai-community/gpt2", "resources/models/smollm2-135m"])
def test_names_on_the_hub_and_the_packaged_model_need_no_folder(name):
    check_files(changed(model__source=name, estimators=UNPROXIED))


def test_a_name_in_an_existing_folder_is_not_a_name_on_the_hub(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()
    with pytest.raises(UserError, match=r"model.source: models/absent: no such folder"):
        check_files(changed(model__source="models/absent", estimators=UNPROXIED))


def check_all(config):
    """Check values, then files, as a study does before it runs."""
    parse(config)
    check_files(config)


@pytest.mark.parametrize("name", BAD)
def test_an_invalid_configuration_raises_one_line_with_the_key(name):
    config, key, hint = BAD[name]
    with pytest.raises(UserError) as caught:
        check_all(config)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 350, "the line is too long to read"  # it may list all sections
    assert key in message, f"the message does not name {key}: {message}"
    assert hint in message, f"the message does not say why: {message}"


LONG = 5000 * "a"


@pytest.mark.parametrize(
    ("config", "key"),
    [
        (changed(orders__custom=LONG), "orders.custom"),
        (changed(corpus__source="files", corpus__files=[f"{LONG}.txt"]), "corpus.files"),
        (filed(run={**RUN, "checkpoints": LONG}, estimators=UNPROXIED), "run.checkpoints"),
        (filed(run={**RUN, "order": LONG}, estimators=UNPROXIED), "run.order"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_path_that_is_too_long_does_not_exist(config, key):
    with pytest.raises(UserError, match=rf"config: {key}: a{{5000}}\S*: no such"):
        check_all(config)


UNGUARDED = FUT | {"guard": None}
REDUCED = {"method": "reduced", "path": "barycentre"}
ALIKE = {  # a configuration, and the estimators that share one error
    "only the update of Adam": (
        changed(optimizer__name="sgd"),
        ["fut@reference", "fut-unguarded@reference", "fut++@reference"],
    ),
    "clipping": (
        changed(optimizer__gradient_clip=1.0, estimators=[FUT, order0(), UNGUARDED, BARYCENTRE]),
        ["fut@reference", "fut-unguarded@reference"],
    ),
    "to fit": (changed(orders__fit=3), ["ridge", "simfluence", "proxy"]),
    "missing key; set it to": (
        estimators({"method": "order0"}, order0(), {"method": "taylor1"}),
        ["order0", "taylor1"],
    ),
    "guard: only": (
        estimators(order0(guard=1.0), FUT, REDUCED | {"guard": 2.0}),
        ["order0@reference", "reduced@barycentre"],
    ),
    "tail: only": (
        estimators(FUT | {"tail": 2}, order0(tail=2), REDUCED | {"tail": 3}),
        ["fut-tail2@reference", "reduced-tail3@barycentre"],
    ),
    "duplicate estimator": (
        estimators(FUT, order0(), order0(), FUT, order0()),
        ["order0@reference", "fut@reference"],
    ),
    "curriculum": (
        estimators(BARYCENTRE, order0()),
        ["reduced@barycentre", "nystrom@barycentre"],
    ),
}


@pytest.mark.parametrize("reason", ALIKE)
def test_all_estimators_with_the_same_error_are_named_together(reason):
    config, expected = ALIKE[reason]
    with pytest.raises(UserError) as caught:
        parse(config)
    message = str(caught.value)
    assert reason in message, f"another error: {message}"
    named = ", ".join(expected)
    assert named in message, f"an estimator with the same error is not named: {message}"
    others = {EstimatorConfig(**entry).name for entry in config["estimators"]} - set(expected)
    for other in others:
        assert not re.search(rf"(^|[ ,]){re.escape(other)}([ ,;]|$)", message), message
    assert "\n" not in message
    assert len(message) < 300, "the line is too long to read"


def test_the_default_configuration_is_valid():
    parse(DEFAULT)


def test_a_configuration_with_a_run_is_valid(tmp_path):
    (tmp_path / "mine.safetensors").touch()
    files = [str(tmp_path / "mine.safetensors")]
    config = tokens(corpus__files=files, run=RUN, estimators=UNPROXIED, optimizer__horizon=10_000)
    parse(config)


@pytest.mark.parametrize("setting", [{"name": "sgd"}, {"gradient_clip": 1.0}], ids=str)
def test_every_estimator_except_the_published_ones_fits_other_optimizers(setting):
    allowed = [e for e in DEFAULT["estimators"] if not METHODS[e["method"]].expands_adam]
    assert len(allowed) < len(DEFAULT["estimators"])
    [(key, value)] = setting.items()
    parse(changed(**{f"optimizer__{key}": value}, estimators=allowed))


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.stem)
def test_each_preset_over_the_default_is_valid(preset):
    parse(load_config(ROOT / "config.yaml", preset))


@pytest.mark.parametrize("preset", PRESETS, ids=lambda path: path.stem)
def test_each_preset_has_its_own_study_name(preset):
    assert load_config(preset)["study"] == preset.stem, "its results would mix with another study's"


def keys(tree, prefix=""):
    """Return the dotted names of all keys, down to what is not a mapping."""
    names = set()
    for key, value in tree.items():
        names.add(f"{prefix}{key}")
        if isinstance(value, dict):
            names |= keys(value, f"{prefix}{key}.")
    return names


def schema_keys(schema, prefix=""):
    """Return the dotted names of all keys of a schema's required sections."""
    names = set()
    if prefix and DEFAULT.get(prefix.split(".")[0]) is None:  # a section that is null by default
        return names
    schemas = [schema, *(schema.get("anyOf", []) if prefix.count(".") == 1 else [])]
    for key, value in (item for one in schemas for item in one.get("properties", {}).items()):
        names |= {f"{prefix}{key}"} | schema_keys(value, f"{prefix}{key}.")
    return names


def test_the_schema_and_the_default_configuration_have_the_same_keys():
    schema = yaml.safe_load(SCHEMA.read_text())
    assert schema_keys(schema) == keys(DEFAULT)


def test_every_section_of_the_schema_forbids_unknown_keys():
    def check_closed(schema, where):
        if schema.get("type") == "object":
            extra = schema.get("additionalProperties")  # a schema, where the keys are a user's
            assert extra is False or isinstance(extra, dict), f"{where} accepts any key"
        for name, child in schema.get("properties", {}).items():
            check_closed(child, f"{where}.{name}")
        for child in [*filter(None, [schema.get("items")]), *schema.get("anyOf", [])]:
            check_closed(child, where)

    check_closed(yaml.safe_load(SCHEMA.read_text()), "config")


def test_a_later_file_overrides_single_keys(tmp_path):
    (tmp_path / "mine.yaml").write_text("window: {units: 8}\norders: {block_sizes: [4]}\n")
    config = load_config(ROOT / "config.yaml", tmp_path / "mine.yaml")
    assert config["window"] == DEFAULT["window"] | {"units": 8}
    assert config["orders"]["block_sizes"] == [4]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"- a\n",
        b"a: [\n",
        b"a: b: c\n",
        b"\xff\xfe\x00",
        b"a: \x00\n",
        b"[" * 10**5,
        b"a: 2001-99-99",
        b"a: {b: 1}\na: {c: 1}",
        b"a: {b: 1, b: 1}",
        None,
    ],
)
def test_a_file_without_a_mapping_raises_one_line_with_its_name(tmp_path, content):
    path = tmp_path / "mine.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        load_config(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


LEAVES = sorted(
    name for name in keys(DEFAULT) if not any(k.startswith(f"{name}.") for k in keys(DEFAULT))
)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=5,
)


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(key=st.sampled_from(LEAVES), value=ANYTHING)
def test_any_value_of_any_key_is_valid_or_raises_one_line(key, value):
    message = ""
    try:
        parse(changed(**{key.replace(".", "__"): value}))
    except UserError as error:
        message = str(error)
    assert "\n" not in message


def test_steps_and_sequences_of_a_window():
    window = WindowConfig(0, units=8, unit_size=3, units_per_step=2, epochs=2, mixed_fraction=0.0)
    assert window.steps == 8
    assert window.sequences_per_step == 6


def test_estimator_names_distinguish_the_unguarded_variant():
    assert EstimatorConfig("fut", "reference", guard=1.0).name == "fut@reference"
    assert EstimatorConfig("fut", "reference").name == "fut-unguarded@reference"
    assert EstimatorConfig("taylor1", "barycentre").name == "taylor1@barycentre"
    assert EstimatorConfig("order0", "barycentre", tail=2).name == "order0-tail2@barycentre"
    assert EstimatorConfig("ridge").name == "ridge"


def test_only_expensive_methods_are_divided_among_jobs():
    assert EstimatorConfig("taylor2", "reference").shards(4) == 4
    assert EstimatorConfig("order0", "reference", tail=1).shards(4) == 4
    assert EstimatorConfig("order0", "reference").shards(4) == 1


def test_orders_to_fit_on_exist_only_for_fitted_estimators():
    assert orders_config(DEFAULT["orders"], [order0()])["fit"] == 0
    assert orders_config(DEFAULT["orders"], [order0(), RIDGE]) == DEFAULT["orders"]
