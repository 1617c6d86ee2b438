"""The sweep finds the best rate of a known curve and caches its measurements."""

import math

import pytest

from bench import sweep
from bench.sweep_page import markdown
from trainorder.errors import DivergedError, UserError
from trainorder.storage.formats import read_json


def curve(lowest, diverging=math.inf):
    """Return losses with their minimum at the rate `lowest`, as `search` asks for them."""

    def measure(rate):
        if rate >= diverging:
            return None
        return {"heldout": 3 + math.log(rate / lowest) ** 2}

    return measure


@pytest.mark.parametrize("lowest", [1e-3, 2.9e-3, 1e-4, 1.2e-2])
def test_the_best_rate_is_found_within_a_fifth(lowest):
    losses = sweep.search(1e-3, curve(lowest))
    assert abs(math.log(sweep.best(losses) / lowest)) < 0.5 * math.log(2) / 2 + 0.03


def test_the_best_rate_has_a_worse_one_within_a_factor_of_sqrt_2_on_either_side():
    losses = sweep.search(1e-3, curve(7e-3))
    rates, best = list(losses), sweep.best(losses)
    place = rates.index(best)
    assert rates == sorted(rates)
    assert rates[place - 1] > best / 1.5
    assert rates[place + 1] < best * 1.5


def test_the_search_ends_if_losses_always_fall():
    losses = sweep.search(1e-3, lambda rate: {"heldout": -math.log(rate)})
    assert len(losses) <= 3 + sweep.EXTENSIONS + 2


def test_a_rate_at_which_training_diverges_is_not_the_best():
    losses = sweep.search(1e-3, curve(8e-4, diverging=1.9e-3))
    assert losses[2e-3] is None
    assert sweep.best(losses) < 1.9e-3


def test_the_configured_rate_is_measured():
    assert 3.3e-3 in sweep.search(3.3e-3, curve(1e-3))


def test_divergence_at_every_rate_raises_one_line():
    with pytest.raises(UserError, match="every rate"):
        sweep.search(1e-3, curve(1e-3, diverging=0))


@pytest.fixture
def trained(top, monkeypatch):
    """Replace training by a curve; return the names of the studies that ran, and what failed."""
    ran = []

    def run(study, cores, targets):
        ran.append(study.name)
        assert targets == [sweep.PATH]

    def losses(study):
        return curve(1e-3)(study.layer["optimizer"]["learning_rate"])

    monkeypatch.setattr(sweep, "run", run)
    monkeypatch.setattr(sweep, "final_losses", losses)
    return ran


def test_the_files_contain_losses_configuration_and_versions(trained, top):
    sweep.main(["--only", "default"])
    entry = read_json(top / "docs/measured/sweep.json")["studies"]["default"]
    assert entry["configured"] == entry["config"]["optimizer"]["learning_rate"]
    assert entry["ratio"] == pytest.approx(entry["configured"] / entry["best"])
    assert set(entry["config"]) == set(sweep.SECTIONS)
    assert entry["made"]["versions"]["torch"]
    page = (top / "docs/measured/sweep.md").read_text()
    assert f"| {entry['best']:.1e} |" in page
    assert (top / "docs/figures/sweep.png").stat().st_size > 1000


def test_a_second_sweep_trains_nothing_and_the_other_entry_stays(trained, top):
    sweep.main(["--only", "default"])
    first = list(trained)
    sweep.main(["--only", "default"])
    assert trained == first
    sweep.main(["--only", "wider"])
    assert list(read_json(top / "docs/measured/sweep.json")["studies"]) == ["default", "wider"]


def test_another_configuration_is_trained_again(trained, top):
    sweep.main(["--only", "default"])
    count = len(trained)
    text = (top / "config.yaml").read_text().replace("beta2: 0.95", "beta2: 0.9")
    (top / "config.yaml").write_text(text)
    sweep.main(["--only", "default"])
    assert len(trained) == 2 * count


def test_a_training_that_diverges_is_recorded_and_any_other_failure_is_not(
    trained, top, monkeypatch
):
    def fail(study, cores, targets):
        raise error

    monkeypatch.setattr(sweep, "run", fail)
    error = DivergedError("order reference: step 3: the training loss is nan")
    assert sweep.measured(sweep.study_of("", 1.0), 1) is None
    error = UserError("corpus: no such file; lower optimizer.learning_rate")
    with pytest.raises(UserError, match="no such file"):
        sweep.measured(sweep.study_of("", 2.0), 1)


def test_a_diverged_training_is_shown():
    losses = [{"learning_rate": 1e-3, "heldout": 3.0}, {"learning_rate": 1.0, "diverged": True}]
    entry = {
        "preset": "config.yaml",
        "made": {"versions": {}, "machine": {"processor": "x", "cores": 1}},
        "seeds": {"init": 0},
        "config": {"model": {"hidden_size": 8, "layers": 1}},
        "losses": losses,
        "best": 1e-3,
        "configured": 1e-3,
        "ratio": 1.0,
    }
    assert "| 1.0e+00 | diverged |" in markdown({"studies": {"default": entry}})
