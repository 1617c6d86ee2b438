"""The loss counts learnt tokens only, and that of a batch is the mean over its sequences."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from problems import language_problem, relative_error, taylor_rows
from trainorder.numerics.derivatives import gradient
from trainorder.training.model import next_token_loss


@pytest.fixture(scope="module")
def problem():
    return language_problem(pairs=True)


@pytest.fixture
def logits():
    return torch.randn(2, 7, 13, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def with_context(tokens, start, end):
    """Return tokens (n, L), as context tokens outside of positions start .. end - 1."""
    places = torch.arange(tokens.shape[1])
    return torch.where((places >= start) & (places < end), tokens, ~tokens)


def test_without_context_tokens_the_loss_is_the_mean_over_all_tokens(logits):
    logits, tokens = logits.float(), torch.arange(14).view(2, 7) % 13
    expected = F.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())
    assert torch.equal(next_token_loss(logits, tokens), expected)


def test_the_loss_of_a_unit_is_the_mean_over_its_sequences(problem):
    theta = problem.model.parameters()
    for unit, tokens in enumerate(problem.corpus.units):
        learnt = (tokens[:, 1:] >= 0).sum(1)
        assert len(set(learnt)) > 1, (
            "the test needs sequences with different numbers of learnt tokens"
        )
        rows = [np.array([[unit, sequence]]) for sequence in range(problem.sequences)]
        losses = torch.stack([problem.sample_loss(theta, row) for row in rows])
        loss = float(problem.loss(theta, unit))
        assert loss == pytest.approx(float(losses.mean()), rel=1e-13), "long responses weigh more"


def test_the_loss_of_a_step_is_the_mean_over_its_units(problem):
    theta, units = problem.model.parameters(), np.array([1, 4, 2])
    problem.model.load(theta)
    step_loss = float(problem.model.module_loss(problem.batch(units)).detach())
    losses = [float(problem.loss(theta, int(unit))) for unit in units]
    assert step_loss == pytest.approx(np.mean(losses), rel=1e-13)


def test_context_tokens_are_not_learnt(logits):
    tokens = with_context(torch.arange(14).view(2, 7) % 13, 2, 5)
    slope = gradient(lambda x: next_token_loss(x.view_as(logits), tokens), logits.flatten())
    places = slope.view_as(logits).abs().sum(2) > 0
    expected = [False, True, True, True, False, False, False]  # each predicts the next token
    assert places.tolist() == [expected, expected]


@pytest.mark.parametrize("order", [0, 1, 2])
def test_derivatives_of_the_loss_with_context_tokens(logits, order):
    tokens = torch.cat(
        [with_context(torch.arange(7)[None], 2, 5), with_context(torch.arange(3, 10)[None], 1, 7)]
    )
    learnt = tokens[:, 1:] >= 0

    def reference_loss(x):
        probabilities = x.view_as(logits)[:, :-1].softmax(2)
        chosen = probabilities.gather(2, tokens[:, 1:, None].clamp(min=0))[..., 0]
        return -torch.stack(
            [row[mark].log().mean() for row, mark in zip(chosen, learnt, strict=True)]
        ).mean()

    d = torch.randn(2, logits.numel(), generator=torch.Generator().manual_seed(4)).double()
    computed, expected = (
        taylor_rows(loss, logits.flatten(), d, order)
        for loss in (lambda x: next_token_loss(x.view_as(logits), tokens), reference_loss)
    )
    assert relative_error(computed, expected) < 1e-12


@pytest.mark.parametrize("span", [(1, 7), (1, 2), (3, 5), (6, 7)])
def test_the_loss_of_one_sequence_equals_that_of_transformers(problem, logits, span, monkeypatch):
    tokens = with_context(torch.arange(3, 10)[None], *span)
    labels = tokens.masked_fill(tokens < 0, -100)
    single = torch.Tensor.float
    double = lambda x: x if x.dtype == torch.float64 else single(x)  # noqa: E731
    monkeypatch.setattr(torch.Tensor, "float", double)  # transformers casts to single precision
    expected = problem.model.module.loss_function(logits[:1], labels, vocab_size=13)
    loss = next_token_loss(logits[:1], tokens)
    assert float(loss) == pytest.approx(float(expected), rel=1e-10)


def test_the_loss_depends_on_the_prompt_but_not_on_padding(problem):
    theta, model = problem.model.parameters(), problem.model
    tokens = with_context(torch.arange(3, 10)[None], 2, 5)

    def loss(place, token):
        changed = tokens.clone()
        changed[0, place] = ~token
        return float(model.loss(theta, changed))

    plain = float(model.loss(theta, tokens))
    for place in (5, 6):
        assert loss(place, 0) == pytest.approx(plain, rel=1e-14), "padding changes the loss"
    for place in (0, 1):
        assert abs(loss(place, 0) / plain - 1) > 1e-6, "the prompt has no effect"


def test_the_model_reads_a_context_token_as_the_token_itself(problem):
    theta, tokens = problem.model.parameters(), torch.arange(3, 10)[None]
    slope = gradient(lambda x: problem.model.loss(x, with_context(tokens, 1, 7)), theta)
    expected = gradient(lambda x: problem.model.loss(x, tokens), theta)
    assert relative_error(slope, expected) < 1e-13, (
        "a context token at the start changes the gradient"
    )
