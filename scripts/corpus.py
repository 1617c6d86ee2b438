"""Builds the corpus: trains the tokenizer; packs warm-up, window and held-out sequences."""

from trainorder.config.sections.corpus import CorpusConfig
from trainorder.config.sections.window import WindowConfig
from trainorder.data.build import build
from trainorder.data.recorded_corpus import is_record, read_recorded_corpus
from trainorder.data.token_maps import read_token_map
from trainorder.data.tokens import read_tokens
from trainorder.storage.formats import write_json
from trainorder.workflow.job import Job, run


def main(job: Job) -> None:
    p = job.params
    config, window = CorpusConfig(**p["corpus"]), WindowConfig(**p["window"])
    if config.source == "tokens" and is_record(config):
        corpus, summary = read_recorded_corpus(config, window)
    elif config.is_token_map:
        corpus, summary = read_token_map(config, window, p["warmup"])
    elif config.source == "tokens":
        corpus, summary = read_tokens(config, window, p["warmup"])
    else:
        # The rule lists one archive per domain, in the same order; other sources have neither.
        archives = dict(zip(p["domains"], job.input.get("archives", []), strict=True))
        corpus, tokenizer, summary = build(
            config, window, p["seed"], archives, other_heldout=p.get("other_heldout", False)
        )
        tokenizer.save(job.output["tokenizer"])
        print(*summary["notes"], sep="\n")
    corpus.save(job.output["corpus"], p["key"])
    write_json(job.output["summary"], summary)


run(main, globals().get("snakemake"))
