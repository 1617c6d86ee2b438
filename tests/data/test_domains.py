"""Domains that a configuration names are there, as far as it can be told before text is read."""

import pytest

from configs import config
from trainorder.config.sections import CorpusConfig
from trainorder.data.domains import check_domains, domains_of
from trainorder.errors import UserError


def corpus(**values):
    return CorpusConfig(**{**config()["corpus"], **values})


def test_domains_are_known_where_the_configuration_tells_and_assumed_elsewhere():
    assert domains_of(corpus()) == (
        ["scripture", "drama", "speeches", "encyclopedia", "code"],
        False,
    )
    assert domains_of(corpus(domains=["code"])) == (["code"], False)
    texts = corpus(source="files", files=["b.txt", "a.txt", "old/a.txt"])
    assert domains_of(texts) == (["a", "b"], False)
    lines = corpus(source="files", files=["a.txt", "b.jsonl"])
    assert domains_of(lines) == (["a", "b"], True)
    assert domains_of(corpus(source="hub", hub={"name": "x", "split": "train"}))[1]


TEXTS = {"corpus__source": "files", "corpus__files": ["sea.txt", "land.txt"]}
LINES = {"corpus__source": "files", "corpus__files": ["sea.txt", "land.jsonl"]}
GOOD = {"curriculum__objective": [{"metric": "heldout/sea", "weight": 1.0}]}
BAD = {"curriculum__objective": [{"metric": "heldout/sky", "weight": 1.0}]}
QUOTA = {"first": 0, "last": 1, "least": 1}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            BAD,
            "curriculum.objective: no metric `heldout/sky`; this study has heldout, heldout/land",
        ),
        (
            {"curriculum__quotas": [{"domain": "sky", **QUOTA}]},
            "curriculum.quotas: no domain `sky`; this study has land, sea, mixed",
        ),
        (
            {"corpus__domains": ["sea", "sky"]},
            "corpus.domains: no domain `sky`; this study has land, sea",
        ),
    ],
    ids=["objective", "quota", "domains"],
)
def test_what_is_of_no_domain_is_one_line_that_names_those_there_are(changes, message):
    with pytest.raises(UserError, match=message) as error:
        check_domains(config(**{**TEXTS, **changes}))
    assert str(error.value).startswith("config: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "changes",
    [
        GOOD,
        {"curriculum__quotas": [{"domain": "mixed", **QUOTA}]},
        {"corpus__domains": ["sea"], **GOOD},
        {"curriculum": None},
        {**LINES, **BAD},  # only the lines tell their domains
    ],
    ids=["metric", "mixed", "some of them", "no search", "lines"],
)
def test_what_may_be_there_passes(changes):
    check_domains(config(**{**TEXTS, **changes}))
