"""What the files of a study contain about a search by steps."""

from typing import Any

from trainorder.config.sections.curriculum import STEPS
from trainorder.curriculum.candidates import Candidate
from trainorder.curriculum.candidates_file import SEARCHED
from trainorder.curriculum.step_search import StepSearch

SPAN = "search"  # of the estimates, in the costs of the job


def step_candidates(search: StepSearch, retrained: int) -> list[Candidate]:
    """Return the best known orders of a search, best first, as candidates.

    Args:
        search: the search.
        retrained: number of candidates, which are retrained once more to compare them.

    """
    best = sorted(search.known, key=lambda order: order.value)[:retrained]
    scored = sum(sum(one.estimated) for one in search.rounds)
    return [
        Candidate(
            name=f"{STEPS}-{place}",
            kind=SEARCHED,
            schedule=order.schedule,
            estimates={} if order.estimate is None else {STEPS: order.estimate},
            retrained=True,
            search={"method": STEPS, "scored": scored, "is_start": order.parent is None},
        )
        for place, order in enumerate(best, start=1)
    ]


def step_record(search: StepSearch, budget: float, retrained: int) -> dict[str, Any]:
    """Return the entry `step_search` of `curriculum/searched.json`.

    Args:
        search: the search.
        budget: what it could spend, in retrainings.
        retrained: number of orders that were retrained before the search and that it uses, without
            the reference.

    """
    starts = [order for order in search.known if order.parent is None]
    lowest, rounds = min(order.value for order in starts), []
    for one in search.rounds:
        new = [search.known[place] for place in one.retrained]
        lowest = min([lowest, *(order.value for order in new)])
        rounds.append(
            {
                "incumbent": search.known[one.incumbent].value,
                "moves": one.moves,
                "estimated": list(one.estimated),
                "estimates": [order.estimate for order in new],
                "true": [order.value for order in new],
                "best": lowest,
                "retrainings": one.retrainings,
            }
        )
    return {
        "budget": budget,
        "retrainings": search.retrainings,
        "retrained_before": retrained,
        "starts": [order.value for order in starts],
        "rounds": rounds,
    }
