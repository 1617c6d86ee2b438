from dataclasses import asdict

from trainorder.config.sections import ModelConfig
from trainorder.estimators.baselines.proxy import narrowed

# The narrower model, and the key of the files that belong to it alone.
PROXY = PROBLEM | {"model": asdict(narrowed(ModelConfig(**config["model"])))}
PROXY_KEY = digest(KEYS["study"], PROXY["model"])


rule ridge:
    input:
        orders=rules.orders.output.orders,
        truth=expand(f"{RESULTS}/truth/{{shard}}.h5", shard=TRUTH_SHARDS),
    output:
        estimate=f"{RESULTS}/estimates/ridge/0.h5",
        cost=f"{RESULTS}/costs/estimate/ridge/0.json",
    log:
        f"{RESULTS}/logs/ridge.log",
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(20),
    params:
        estimator=ENTRIES.get("ridge"),
        sketch_rows=config["sketch_rows"],
        key=KEYS["study"],
        code=code("ridge.py"),
    message:
        "Ridge regression on position features"
    script:
        "../scripts/ridge.py"


rule proxy_warm:
    input:
        corpus=rules.corpus.output.corpus,
    output:
        warm=f"{RESULTS}/proxy/warm.h5",
        cost=f"{RESULTS}/costs/proxy_warm.json",
    log:
        f"{RESULTS}/logs/proxy_warm.log",
    conda:
        "../envs/study.yaml"
    threads: config["threads"]
    resources:
        **GPU,
        mem_mb=memory(1500, vectors=True),
        runtime=minutes(60),
    params:
        problem=PROXY,
        window=config["window"],
        optimizer=config["optimizer"],
        checkpoint_every=config["checkpoint_every"],
        key=PROXY_KEY,
        work=WORK,
        code=code("warm.py"),
    message:
        "Warm-up training of the proxy model"
    script:
        "../scripts/warm.py"


rule proxy_orders:
    input:
        corpus=rules.corpus.output.corpus,
        warm=rules.proxy_warm.output.warm,
        orders=rules.orders.output.orders,
    output:
        truth=f"{RESULTS}/proxy/{{shard}}.h5",
        cost=f"{RESULTS}/costs/proxy_orders/{{shard}}.json",
    log:
        f"{RESULTS}/logs/proxy_orders-{{shard}}.log",
    wildcard_constraints:
        shard=r"\d+",
    conda:
        "../envs/study.yaml"
    threads: config["threads"]
    resources:
        **GPU,
        mem_mb=memory(1500, vectors=True),
        runtime=minutes(120),
    params:
        problem=PROXY,
        window=config["window"],
        optimizer=config["optimizer"],
        start="proxy_warm",
        bounds=ENTRIES.get("proxy", {}).get("orders", {}),
        # Its parameters are not those that estimates are compared with.
        trajectories=0,
        readouts=1,
        sketch_rows=16,
        checkpoint_every=config["checkpoint_every"],
        shard=lambda wildcards: int(wildcards.shard),
        shards=config["shards"]["truth"],
        key=PROXY_KEY,
        work=WORK,
        code=code("truth.py"),
    message:
        "Retraining the proxy model, shard {wildcards.shard}"
    script:
        "../scripts/truth.py"


rule proxy:
    input:
        orders=rules.orders.output.orders,
        truth=expand(f"{RESULTS}/truth/{{shard}}.h5", shard=TRUTH_SHARDS),
        proxy=expand(f"{RESULTS}/proxy/{{shard}}.h5", shard=TRUTH_SHARDS),
    output:
        estimate=f"{RESULTS}/estimates/proxy/0.h5",
        cost=f"{RESULTS}/costs/estimate/proxy/0.json",
    log:
        f"{RESULTS}/logs/proxy.log",
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        mem_mb=memory(1000),
        runtime=minutes(20),
    params:
        estimator=ENTRIES.get("proxy"),
        sketch_rows=config["sketch_rows"],
        key=KEYS["study"],
        proxy_key=PROXY_KEY,
        code=code("proxy.py"),
    message:
        "The proxy model's metrics on the scale of the model"
    script:
        "../scripts/proxy.py"
