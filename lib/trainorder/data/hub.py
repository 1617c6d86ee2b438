"""Documents from a dataset on the hub, or from a local folder with the same files."""

from pathlib import Path
from typing import TYPE_CHECKING

from trainorder.config.sections import CorpusConfig
from trainorder.data.columns import check_columns, domain_of_row
from trainorder.errors import UserError, not_loaded

if TYPE_CHECKING:
    import datasets


def load_hub(config: CorpusConfig) -> "datasets.Dataset":
    """Return the rows of `corpus.hub`: a column for each text of a document, and `domain`.

    Raises:
        UserError: the dataset cannot be loaded, a column is missing or not text, or a domain is
            empty.

    """
    import datasets

    if config.hub is None:
        raise ValueError("the source of the corpus is not a dataset on the hub")
    name = config.hub.name
    try:
        rows = datasets.load_dataset(name, config.hub.subset, split=config.hub.split)
    except Exception as error:  # the hub client raises types of several libraries
        raise not_loaded("corpus.hub", name, error) from None
    where = f"corpus.hub: {name}"
    check_columns(where, rows.column_names, config, *config.columns.values())
    for column in config.columns.values():
        if getattr(rows.features[column], "dtype", None) not in ("string", "large_string"):
            raise UserError(f"{where}: column `{column}` is not text; name a column of strings")
    domains = _domains(rows, config, where, default=Path(name).name)
    rows = rows.select_columns(list(config.columns.values()))
    rows = rows.rename_columns({column: name for name, column in config.columns.items()})
    return rows.add_column("domain", domains)


def _domains(rows: "datasets.Dataset", config: CorpusConfig, where: str, default: str) -> list[str]:
    """Return the domain of each row: its domain column, or `default` if there is no such column."""
    if config.domain_column not in rows.column_names:
        return [default] * len(rows)
    feature = rows.features[config.domain_column]
    names = getattr(feature, "names", None)  # of class labels, which are stored as numbers
    values = rows[config.domain_column]
    if names is not None:
        values = [names[value] for value in values]
    return [
        domain_of_row(f"{where}: row {number}", {config.domain_column: value}, config)
        for number, value in enumerate(values)
    ]
