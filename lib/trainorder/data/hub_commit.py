"""The commit of a repository on the hub that is loaded; a branch or a tag can move."""

import re
from os.path import isdir

_COMMIT = re.compile(r"[0-9a-f]{40}")


def as_commit(text: str | None) -> str | None:
    """Return `text` if it is the hash of a commit, else None.

    >>> as_commit("main"), as_commit("0" * 40) == "0" * 40
    (None, True)
    """
    return text if text is not None and _COMMIT.fullmatch(text) else None


def hub_commit(name: str, revision: str | None, file: str) -> str | None:
    """Return the commit of a model or tokenizer that `revision` names now.

    Load this commit, so that the one that is recorded is the one that is used.

    Args:
        name: a name on the hub, or a local folder.
        revision: a branch, tag or commit; None for the newest.
        file: a file of the repository, which is downloaded to the cache of the hub client.

    Returns:
        The hash; None for a local folder, or if the file cannot be loaded.

    """
    if isdir(name):
        return None
    from transformers.utils.hub import cached_file, extract_commit_hash

    try:  # an unknown name raises when it is loaded, with its cause
        path = cached_file(name, file, revision=revision or "main")
    except OSError:
        return None
    return as_commit(extract_commit_hash(path, None))
