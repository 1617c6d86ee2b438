# Baselines that are fitted on true retrainings: two regressions and a narrower proxy model.
rule ridge:
    input:
        orders=rules.orders.output.orders,
        truth=expand(rules.truth.output.truth, shard=settings.truth_shards),
    output:
        estimate=f"{RESULTS}/estimates/ridge/0.h5",
        cost=f"{RESULTS}/costs/estimate/ridge/0.json",
    log:
        f"{RESULTS}/logs/ridge.log",
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        **settings.resources(megabytes=1000, minutes=20),
    params:
        estimator=settings.entries.get("ridge"),
        sketch_rows=config["sketch_rows"],
        key=KEY,
        code=settings.code("ridge.py"),
    message:
        "Fitting the ridge regression on position features"
    script:
        "../scripts/ridge.py"


rule simfluence:
    input:
        orders=rules.orders.output.orders,
        truth=expand(rules.truth.output.truth, shard=settings.truth_shards),
    output:
        estimate=f"{RESULTS}/estimates/simfluence/0.h5",
        cost=f"{RESULTS}/costs/estimate/simfluence/0.json",
    log:
        f"{RESULTS}/logs/simfluence.log",
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        **settings.resources(megabytes=1000, minutes=20),
    params:
        estimator=settings.entries.get("simfluence"),
        window=config["window"],
        sketch_rows=config["sketch_rows"],
        key=KEY,
        code=settings.code("simfluence.py"),
    message:
        "Fitting linear recursions of the losses"
    script:
        "../scripts/simfluence.py"


use rule warm as proxy_warm with:
    input:
        corpus=rules.corpus.output.corpus,
    output:
        warm=f"{RESULTS}/proxy/warm.h5",
        cost=f"{RESULTS}/costs/proxy_warm.json",
    log:
        f"{RESULTS}/logs/proxy_warm.log",
    params:
        problem=settings.proxy_problem,
        run=None,
        key=settings.proxy_key,
        code=settings.code("warm.py"),
    message:
        "Warm-up training of the proxy model"


use rule truth as proxy_orders with:
    input:
        corpus=rules.corpus.output.corpus,
        warm=rules.proxy_warm.output.warm,
        orders=rules.orders.output.orders,
    output:
        truth=f"{RESULTS}/proxy/{{shard}}.h5",
        cost=f"{RESULTS}/costs/proxy_orders/{{shard}}.json",
    log:
        f"{RESULTS}/logs/proxy_orders-{{shard}}.log",
    params:
        problem=settings.evaluated_proxy_problem,
        start="proxy_warm",
        bounds=settings.entries.get("proxy", {}).get("orders", {}),
        shards=len(settings.proxy_shards),
        known_runs=0,
        trajectories=0,
        readouts=1,
        sketch_rows=16,  # estimates are not compared with the parameters of the proxy model
        key=settings.proxy_key,
    message:
        "Retraining the proxy model, shard {wildcards.shard}"


rule proxy:
    input:
        orders=rules.orders.output.orders,
        truth=expand(rules.truth.output.truth, shard=settings.truth_shards),
        proxy=expand(rules.proxy_orders.output.truth, shard=settings.proxy_shards),
    output:
        estimate=f"{RESULTS}/estimates/proxy/0.h5",
        cost=f"{RESULTS}/costs/estimate/proxy/0.json",
    log:
        f"{RESULTS}/logs/proxy.log",
    conda:
        "../envs/study.yaml"
    threads: 1
    resources:
        **settings.resources(megabytes=1000, minutes=20),
    params:
        estimator=settings.entries.get("proxy"),
        sketch_rows=config["sketch_rows"],
        key=KEY,
        proxy_key=settings.proxy_key,
        code=settings.code("proxy.py"),
    message:
        "Fitting the metrics of the proxy model to those of the model"
    script:
        "../scripts/proxy.py"
