"""The figures of a study."""

from trainorder.figures.catalogue import CATALOGUE, Entry, figures_with, requested
from trainorder.workflow.stages.search import SearchSettings
from trainorder.workflow.stages.store import StoreSettings


class FigureSettings(StoreSettings, SearchSettings):
    """The figures that a study draws."""

    @property
    def figures(self) -> dict[str, Entry]:
        """The figures of the study by name."""
        has_memorization = bool(self.config["memorization"])
        parts = {
            "ladder": self.open_estimator,
            "ranks": self.truth_of_levels and self.paths_read("curvature"),
            "stores": self.has_stores,
            "stepwise": self.config["stepwise_losses"],
            "curriculum": self.config["curriculum"],
            "maps": has_memorization,
            "poisoned": has_memorization and self.config["window"]["poisoned"],
            "replicates": self.replicates,
        }
        names = figures_with(part for part, has in parts.items() if has)
        return {name: CATALOGUE[name] for name in names}

    @property
    def redrawn_figures(self) -> list[str] | None:
        """The figures that the command line names; None if it names none.

        Raises:
            UserError: the study has no such figure.

        """
        asked = self.invocation.figures
        return None if asked is None else requested(asked, list(self.figures))
