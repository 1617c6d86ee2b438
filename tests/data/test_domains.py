"""The domains of a corpus before it is built, and the check of configured names."""

import pytest

from configs import config
from trainorder.config.sections.corpus import CorpusConfig
from trainorder.data.domains import check_domains, domains_of
from trainorder.errors import UserError


def corpus(**values):
    return CorpusConfig(**{**config()["corpus"], **values})


def test_domains_are_known_from_the_configuration_or_assumed():
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
AVERAGED = {"curriculum__objective": [{"metric": "averaged_heldout", "weight": 1.0}]}
QUOTA = {"first": 0, "last": 1, "least": 1}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            BAD,
            "curriculum.objective: no metric `heldout/sky`; this study has heldout, heldout/land",
        ),
        (
            AVERAGED,
            "curriculum.objective: no metric `averaged_heldout`; this study has heldout, ",
        ),
        (
            {**BAD, "averaged_states": 4},
            "no metric `heldout/sky`; this study has heldout, heldout/land, heldout/sea, "
            "averaged_heldout, averaged_heldout/land, averaged_heldout/sea",
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
    ids=["objective", "no averages", "averages", "quota", "domains"],
)
def test_an_unknown_name_raises_with_the_known_names(changes, message):
    with pytest.raises(UserError, match=message) as error:
        check_domains(config(**{**TEXTS, **changes}))
    assert str(error.value).startswith("config: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "changes",
    [
        GOOD,
        {**AVERAGED, "averaged_states": 4},
        {"curriculum__quotas": [{"domain": "mixed", **QUOTA}]},
        {"corpus__domains": ["sea"], **GOOD},
        {"curriculum": None},
        {**LINES, **BAD},  # only the text states the domains
    ],
    ids=["metric", "averaged", "mixed", "some of them", "no search", "lines"],
)
def test_known_and_unverifiable_names_pass(changes):
    check_domains(config(**{**TEXTS, **changes}))
