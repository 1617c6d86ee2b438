"""Tokens of a record are those that the model read, or raise one line before they are stored."""

import numpy as np
import pytest
import torch

from trainorder.errors import UserError
from trainorder.recording.record.tokens import check_vocabulary, masked_tokens

WRONG = {
    "labels": ([[3, -100, 4]], "a token is -100, expected 0 or more; .* give labels with -100"),
    "a negative number": ([[3, -1, 4]], "a token is -1, expected"),
    "too large for int32": ([[3, 2**31 + 5, 4]], "a token is 2147483653, but the model has"),
    "as unsigned": (np.array([[2**63]], np.uint64), "a token is 9223372036854775808, but"),
    "not in the vocabulary": ([[3, 7, 4]], "a token is 7, but the model has the tokens 0 to 6"),
    "no sequence": (np.zeros((0, 8), int), "expected integers of shape"),
    "fractions": ([[0.5, 1.0]], "expected integers of shape"),
}


@pytest.mark.parametrize("case", WRONG)
def test_numbers_that_are_no_tokens_of_the_model_raise(case):
    values, message = WRONG[case]
    with pytest.raises(UserError, match=f"^here: .*{message}"):
        masked_tokens("here", values, vocabulary=7)


@pytest.mark.parametrize("kind", [torch.int64, torch.int32, torch.int16, torch.uint8])
def test_tokens_of_any_integer_type_are_kept(kind):
    tokens = torch.tensor([[3, 0, 6]], dtype=kind)
    labels = torch.tensor([[-100, 0, 6]])
    marked = masked_tokens("here", tokens, labels, vocabulary=7)
    assert marked.tolist() == [[~3, 0, 6]]
    assert marked.dtype == np.int32


def test_tokens_that_are_no_targets_are_in_the_vocabulary_too():
    check_vocabulary("here", np.array([[~6, 2]]), 7)
    with pytest.raises(UserError, match="a token is 7"):
        check_vocabulary("here", np.array([[~7, 2]]), 7)
