"""Documents from a dataset on the hub, or from a local folder with the same files."""

from collections.abc import Sequence
from os.path import isdir, isfile  # return False for an impossible path, where pathlib raises
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from trainorder.config.sections.corpus import CorpusConfig, HubConfig
from trainorder.data.columns import check_columns, domain_of_row, remedy, text_of, value_at
from trainorder.data.hub_commit import as_commit
from trainorder.data.messages import messages_text
from trainorder.errors import UserError, not_loaded

if TYPE_CHECKING:
    import datasets

_SAVED = ("state.json", "dataset_dict.json")  # in a folder that `save_to_disk` wrote


def load_hub(config: CorpusConfig) -> "datasets.Dataset":
    """Return the rows of `corpus.hub`: a column for each text of a document, and `domain`.

    Raises:
        UserError: the dataset cannot be loaded, a column is missing or not text, or a domain is
            empty.

    """
    if config.hub is None:
        raise ValueError("the source of the corpus is not a dataset on the hub")
    where = f"corpus.hub: {config.hub.name}"
    rows = _loaded(config.hub)
    columns = {name: column for column, name in reversed(config.columns.items())}
    if {*columns, config.domain_column} - {*rows.column_names}:
        flat = rows.flatten()  # its column a.b is key b of the objects in column a
        rows = flat if {*columns, config.domain_column} & {*flat.column_names} else rows
    check_columns(where, _example(rows), config, columns)
    domains = _domains(rows, config, where, default=Path(config.hub.name).name)
    if config.chats:
        return _chats(rows, config, where).add_column("domain", domains)
    for column in columns:
        if column not in rows.column_names:
            values = _values(rows, column, config, where)
            texts = [text_of(f"{where}: row {i}", one, column) for i, one in enumerate(values)]
            rows = rows.add_column(column, texts)
        if getattr(rows.features[column], "dtype", None) not in ("string", "large_string"):
            example = rows[0][column] if len(rows) else None
            raise UserError(
                f"{where}: column `{column}` is not text; {remedy('text_column', column, example)}"
            )
    return rows.select_columns(list(columns)).rename_columns(columns).add_column("domain", domains)


def dataset_commit(config: CorpusConfig) -> str | None:
    """Return the commit of `corpus.hub` that its revision names now; None without a repository.

    Load this commit, so that the one that is recorded is the one that is used.

    Raises:
        UserError: the dataset cannot be loaded.

    """
    if config.hub is None or isdir(config.hub.name):
        return None
    try:
        # The hash of a dataset of the hub is its commit, also if it comes from the local cache.
        return as_commit(_builder(config.hub).hash)
    except Exception as error:  # the hub client raises types of several libraries
        raise not_loaded("corpus.hub", config.hub.name, error) from None


def _builder(hub: HubConfig) -> Any:
    import datasets

    return datasets.load_dataset_builder(hub.name, hub.subset, revision=hub.revision)


def _loaded(hub: HubConfig) -> Any:
    """Return the rows of a split. A folder that `save_to_disk` wrote is read, too."""
    import datasets

    try:
        if not any(isfile(Path(hub.name) / name) for name in _SAVED):
            # The reader of CSV takes texts such as `null` and `NA` for missing values.
            is_table = hasattr(_builder(hub).config, "keep_default_na")
            options = {"keep_default_na": False} if is_table else {}
            return datasets.load_dataset(
                hub.name, hub.subset, split=hub.split, revision=hub.revision, **options
            )
        saved: Any = datasets.load_from_disk(hub.name)
        return saved[hub.split] if isinstance(saved, datasets.DatasetDict) else saved
    except Exception as error:  # the hub client raises types of several libraries
        raise not_loaded("corpus.hub", hub.name, error) from None


def _chats(rows: Any, config: CorpusConfig, where: str) -> Any:
    """Return the JSON texts of chats as the column `text`."""
    import datasets

    column = str(config.messages_column)
    texts = [
        messages_text(f"{where}: row {number}", value, column)
        for number, value in enumerate(_values(rows, column, config, where))
    ]
    features = datasets.Features({"text": datasets.Value("string")})
    return datasets.Dataset.from_dict({"text": texts}, features=features)


def _example(rows: Any) -> dict[str, Any]:
    """Return the first row, or the columns if there is none."""
    return dict(rows[0] if len(rows) else rows.features)


def _values(rows: Any, column: str, config: CorpusConfig, where: str) -> Sequence[Any]:
    """Return the values of a column; `a.b` is key `b` of the objects in the texts of column `a`."""
    if column in rows.column_names:
        return cast("Sequence[Any]", rows[column])
    top, values = column.partition(".")[0], []
    for number, value in enumerate(rows[top]):
        check_columns(f"{where}: row {number}", {top: value}, config, [column])
        values.append(value_at({top: value}, column))
    return values


def _domains(rows: Any, config: CorpusConfig, where: str, default: str) -> list[str]:
    """Return the domain of each row: its domain column, or `default` if there is no such column."""
    if config.domain_column not in rows.column_names and config.has_default_domain_column:
        return [default] * len(rows)
    check_columns(where, _example(rows), config, [config.domain_column])
    feature = rows.features.get(config.domain_column)
    names = getattr(feature, "names", None)  # of class labels, which are stored as numbers
    values = _values(rows, config.domain_column, config, where)
    if names is not None:
        values = [names[value] for value in values]
    return [
        domain_of_row(f"{where}: row {number}", {config.domain_column: value}, config)
        for number, value in enumerate(values)
    ]
