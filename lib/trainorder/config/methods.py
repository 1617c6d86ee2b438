"""What each method reads and can do."""

STORE = {  # what each method reads from the store
    "constant": ("path",),
    "order0": ("path", "table"),
    "fut": ("path", "table"),
    "fut++": ("path", "table"),
    "taylor1": ("path",),
    "taylor2": ("path",),
    "recency": ("path",),
    "nystrom": ("curvature",),
    "subsample": ("path", "table", "curvature"),
    "reduced": ("reduced",),
}
TABLE_METHODS = tuple(method for method, kinds in STORE.items() if "table" in kinds)
CURVATURE_METHODS = ("nystrom", "subsample", "reduced")  # rest on the low-rank expansion
PUBLISHED_METHODS = ("fut", "fut++")  # replay with the moments of the path
EXACT_METHODS = ("taylor1", "taylor2")  # differentiate at replay; dear, so scattered over jobs
TAIL_METHODS = (
    "order0",
    "recency",
    "nystrom",
    "subsample",
    *EXACT_METHODS,
)  # carry full states, so a tail can be exact
FITTED_METHODS = ("ridge", "proxy")  # fitted on the orders of split `fit`; they have no path
METRIC_METHODS = ("reduced", *FITTED_METHODS)  # estimate metrics, and no parameters
SEARCHING = ("reduced@barycentre", "nystrom@barycentre")  # estimate the orders of a search
