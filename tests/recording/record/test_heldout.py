"""Held-out sequences are the same in every form in which a user has them."""

import numpy as np
import pytest
import torch
from datasets import Dataset
from transformers import BatchEncoding

from trainorder.errors import UserError
from trainorder.recording.record.heldout import ONE_DOMAIN, read_heldout, write_heldout

TOKENS = np.arange(24).reshape(3, 8)
LABELS = np.where(TOKENS % 8 > 5, -100, TOKENS)  # the last two positions are no targets
MASK = (LABELS >= 0).astype(int)
COLUMNS = {"input_ids": TOKENS.tolist(), "labels": LABELS.tolist(), "attention_mask": MASK.tolist()}
FORMS = {
    "columns": COLUMNS,
    "columns of a data set": Dataset.from_dict(COLUMNS)[:3],
    "columns of tensors": {key: torch.tensor(value) for key, value in COLUMNS.items()},
    "an encoding": BatchEncoding(COLUMNS),
    "rows": [{key: value[i] for key, value in COLUMNS.items()} for i in range(3)],
    "a data set": Dataset.from_dict(COLUMNS),
}


@pytest.mark.parametrize("form", FORMS)
def test_columns_and_rows_are_one_domain_with_their_labels(tmp_path, form):
    write_heldout(tmp_path, FORMS[form])
    write_heldout(tmp_path / "domains", {"a": FORMS[form], "b": FORMS[form]})
    expected = np.where(LABELS < 0, ~TOKENS, TOKENS)
    assert read_heldout(tmp_path).keys() == {ONE_DOMAIN}, "columns are taken for domains"
    assert read_heldout(tmp_path / "domains").keys() == {"a", "b"}
    for folder in (tmp_path, tmp_path / "domains"):
        for sequences in read_heldout(folder).values():
            assert np.array_equal(sequences, expected)


@pytest.mark.parametrize("form", ["list", "array", "column"])
def test_sequences_without_labels_are_all_targets(tmp_path, form):
    forms = {"list": TOKENS.tolist(), "array": TOKENS, "column": {"input_ids": TOKENS}}
    write_heldout(tmp_path, forms[form])
    assert np.array_equal(read_heldout(tmp_path)[ONE_DOMAIN], TOKENS)


WRONG = {
    "a domain without a name": ({3: TOKENS}, "the domain 3 has no name"),
    "a reserved name": ({"mixed": TOKENS, "a": TOKENS}, "`mixed` is the label of mixed units"),
    "no domain": ({}, "no domains"),
    "labels as tokens": (LABELS, "a token is -100, expected"),
    "another column": ({"ids": {"tokens": TOKENS}}, "ids: dict is not a list of sequences"),
    "no sequences": (None, "NoneType is not a list of sequences"),
    "one example": ({"input_ids": [1, 2, 3]}, "expected integers of shape"),
    "several lengths": ({"input_ids": [[1, 2], [3]]}, "different lengths"),
    "no target": ({"input_ids": TOKENS, "labels": np.full((3, 8), -100)}, "has no target"),
    "padding as targets": (
        {"input_ids": TOKENS, "attention_mask": MASK},
        "padding is a target of the loss; give labels with -100",
    ),
    "padding on the left": (
        {"input_ids": TOKENS, "attention_mask": MASK[:, ::-1]},
        "padding is before tokens; pad on the right",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_sequences_that_no_study_can_judge_by_raise_one_line(tmp_path, case):
    heldout, message = WRONG[case]
    with pytest.raises(UserError, match=f"^heldout.*{message}") as error:
        write_heldout(tmp_path, heldout)
    assert "\n" not in str(error.value)
    assert not list(tmp_path.iterdir())
