"""Fresh retrainings of searched orders."""

from trainorder.config.sections.curriculum import FRESH_SEEDS
from trainorder.workflow.stages.problem import ProblemSettings
from trainorder.workflow.stages.study import Config


class FreshSettings(ProblemSettings):
    """Retrainings with other initial weights and on other held-out text."""

    @property
    def fresh_random(self) -> int:
        """The number of random orders in fresh retrainings; 0: there are none."""
        curriculum = self.config["curriculum"]
        return int(curriculum["fresh"]) if curriculum else 0

    @property
    def has_other_text(self) -> bool:
        """Whether fresh retrainings have held-out text of their own."""
        return bool(self.config["corpus"]["source"] != "tokens")

    @property
    def fresh_draws(self) -> list[Config]:
        """The fresh retrainings: the seed `init`, the `heldout` text, and the key of their files.

        The first one has the initial weights of the study. Given weights cannot be drawn again.
        """
        if not self.fresh_random:
            return []
        init = self.config["seeds"]["init"]
        given = self.config["model"]["source"] or self.config["run"]
        seeds = [init] if self.has_other_text else []
        seeds += [] if given else [init + distance for distance in FRESH_SEEDS]
        return [
            {
                "init": seed,
                "heldout": "other" if self.has_other_text else "same",
                "key": self.keys.study if seed == init else self.keys.fresh(seed),
            }
            for seed in seeds
        ]

    def fresh_problem(self, draw: int) -> Config:
        """Return what a script needs to set up the learning problem of fresh retrainings."""
        return {**self.problem, "seed": self.fresh_draws[draw]["init"]}

    def fresh_start(self, draw: int) -> str:
        """Return the state before the window of fresh retrainings."""
        if self.fresh_draws[draw]["init"] == self.config["seeds"]["init"]:
            return f"{self.results}/store/warm.h5"
        return f"{self.results}/curriculum/fresh/warm-{draw}.h5"
