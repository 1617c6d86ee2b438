# Helpers of every rules file: the checked configuration, keys, code hashes.
import sys
from pathlib import Path

from trainorder.config import FITTED_METHODS, EstimatorConfig, WindowConfig, check
from trainorder.corpus import packages
from trainorder.errors import UserError
from trainorder.orders import read_orders
from trainorder.provenance import code_hash, digest

SCRIPTS = Path(workflow.basedir) / "scripts"

try:
    check(config, Path(workflow.basedir) / "schemas" / "config.schema.yaml")
    if config["orders"]["custom"] is not None:
        read_orders(config["orders"]["custom"], WindowConfig(**config["window"]))
    PACKAGES = (
        packages.select(config["corpus"]["domains"])
        if config["corpus"]["source"] == "packages"
        else []
    )
except UserError as error:
    sys.exit(f"error: {error}")

RESULTS = f"results/{config['study']}"
WORK = f"{RESULTS}/.work"
ALL_ESTIMATORS = [EstimatorConfig(**entry) for entry in config["estimators"]]
ESTIMATORS = [
    e for e in ALL_ESTIMATORS if e.method not in FITTED_METHODS
]  # those that replay
# Off the barycentre, `auto` is every step: the published method needs neighbouring ones.
REFERENCE_ANCHORS = (
    config["expansion"]["anchors"]
    if isinstance(config["expansion"]["anchors"], int)
    else None
)
TABLE_SHARDS = range(config["shards"]["table"])
TRUTH_SHARDS = range(config["shards"]["truth"])

# What a stored file belongs to: the parts of the configuration that decide its content.
_corpus_key = digest(config["corpus"], config["window"], config["seeds"]["data"])
KEYS = {
    "corpus": _corpus_key,
    "study": digest(
        _corpus_key,
        config["model"],
        config["optimizer"],
        config["seeds"],
        config["threads"],
    ),
}

# What a script needs to set up the learning problem.
PROBLEM = {
    "key": KEYS["corpus"],
    "model": config["model"],
    "seed": config["seeds"]["init"],
    "threads": config["threads"],
}


def code(script):
    """A hash of the script and of the library modules it imports, so that edits rerun it."""
    return code_hash(SCRIPTS / script)
