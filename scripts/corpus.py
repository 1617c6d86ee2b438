"""Builds the corpus: trains the tokenizer, packs warm-up, window and held-out sequences."""

from trainorder.config import CorpusConfig, WindowConfig
from trainorder.corpus.build import build
from trainorder.files import write_json
from trainorder.job import Job, run


def main(job: Job) -> None:
    # `archives` are in the order of the domains that the rule fetched; no archive without them.
    archives = dict(zip(job.params["domains"], job.input.get("archives", []), strict=True))
    corpus, tokenizer, summary = build(
        CorpusConfig(**job.params["corpus"]),
        WindowConfig(**job.params["window"]),
        job.params["seed"],
        archives,
    )
    corpus.save(job.output["corpus"], job.params["key"])
    tokenizer.save(job.output["tokenizer"])
    write_json(job.output["summary"], summary)


run(main, globals().get("snakemake"))
