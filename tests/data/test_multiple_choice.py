"""Questions ask for the continuation of held-out text, and the metrics count right answers."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from problems import as_pairs, language_problem
from trainorder.data.corpus import token_numbers
from trainorder.data.metrics import metric_names
from trainorder.data.multiple_choice import choice_values, questions
from trainorder.errors import UserError

COUNT = 4


def heldout(sequences=12, length=10, domains=2):
    """Return held-out sequences in which every token tells its sequence and its place."""
    shape = (domains, sequences, length)
    return np.arange(np.prod(shape), dtype=np.int32).reshape(shape)


def asked(problem, count, seed=0):
    """Return the problem with questions about its held-out text."""
    return replace(problem, questions=questions(problem.corpus.heldout, count, seed))


def test_the_right_choice_is_the_sequence_itself_with_its_first_half_as_context():
    text = heldout()
    right = questions(text, COUNT, seed=0)[:, 0]
    assert np.array_equal(right[..., :5], ~text[..., :5]), "the prefix is learnt, or another one"
    assert np.array_equal(right[..., 5:], text[..., 5:])


def test_the_other_choices_continue_different_sequences_of_the_same_domain():
    text = heldout()
    asked_about = questions(text, COUNT, seed=0)
    for domain in range(2):
        source = asked_about[domain, :, :, 5] // 10 - 12 * domain  # (choice, question)
        assert ((source >= 0) & (source < 12)).all(), "a continuation of another domain"
        assert all(len(set(one)) == COUNT for one in source.T), (
            "the same continuation is offered twice"
        )
        assert np.array_equal(source[0], np.arange(12))
        whole = text[domain, source, 5:]
        assert np.array_equal(asked_about[domain, :, :, 5:], whole), "continuations are mixed"
        prefix = asked_about[domain, :, :, :5]
        assert np.array_equal(prefix, np.broadcast_to(prefix[:1], prefix.shape))


def test_the_seed_decides_the_questions():
    first, again, other = (questions(heldout(), COUNT, seed) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_pairs_are_asked_for_the_response_to_a_prompt():
    text = as_pairs(heldout(sequences=5))
    asked_about = questions(text, 3, seed=0)
    assert np.array_equal(asked_about[:, 0] >= 0, text >= 0), "the right choice has another span"
    learnt = text >= 0
    start = learnt.argmax(-1)
    for domain, row in np.ndindex(text.shape[:2]):
        for choice in asked_about[domain, :, row]:
            prompt, response = start[domain, row], choice[choice >= 0]
            assert (choice[:prompt] == text[domain, row, :prompt]).all(), "the prompt is another"
            source = text[domain, (response[0] - text[domain, 0, 0] % 50) // 10 % 5]
            own = source[source >= 0][: 10 - prompt]
            assert np.array_equal(response, own), "the response is not cut at the end only"


def test_questions_need_enough_sequences():
    with pytest.raises(UserError, match=r"multiple_choice: 4 choices .* has 3; lower"):
        questions(heldout(sequences=3), COUNT, seed=0)


def test_losses_of_choices_equal_those_of_a_float64_loop():
    problem = asked(language_problem(), count=3)
    theta = problem.model.parameters()
    losses = problem.choice_losses(theta)
    problem.model.load(theta)
    for domain, choice, row in np.ndindex(losses.shape):
        tokens = torch.from_numpy(problem.questions[domain, choice, row].astype(np.int64))
        plain = torch.from_numpy(token_numbers(tokens.numpy()))
        scores = problem.model.module(plain[None]).logits[0].log_softmax(-1)
        expected = -np.mean([float(scores[i - 1, plain[i]]) for i in range(3, 7)])
        assert abs(losses[domain, choice, row] - expected) < 1e-12, "a prefix counts, or not all"
    assert problem.meter.total == {"losses": losses.size}


def test_metrics_equal_a_loop_over_questions():
    losses = np.random.default_rng(0).normal(size=(2, 3, 7))
    accuracy, probability = np.zeros(2), np.zeros(2)
    for domain, row in np.ndindex(2, 7):
        choices = losses[domain, :, row]
        accuracy[domain] += (choices.argmin() == 0) / 7
        probability[domain] += np.exp(-choices[0]) / np.exp(-choices).sum() / 7
    expected = [accuracy.mean(), *accuracy, probability.mean(), *probability]
    assert np.allclose(choice_values(losses), expected, rtol=0, atol=1e-14)
    assert len(expected) == len(metric_names("ab", choices=True)) - len(metric_names("ab"))


def test_a_tie_is_wrong_and_a_diverged_model_has_no_accuracy():
    assert choice_values(np.ones((1, 4, 5))).tolist() == [0, 0, 0.25, 0.25]
    diverged = np.ones((2, 4, 5))
    diverged[1, 2, 3] = np.nan
    values = choice_values(diverged)
    assert np.isfinite(values[[1, 4]]).all(), "the other domain is lost"
    assert np.isnan(values[[0, 2, 3, 5]]).all(), "a diverged model has an accuracy"


def test_a_model_that_knows_the_text_is_always_right():
    problem = asked(language_problem(), count=3)
    theta = problem.model.parameters().requires_grad_()
    optimizer = torch.optim.Adam([theta], lr=0.03)
    for _ in range(200):
        optimizer.zero_grad()
        sum(problem.goal_loss(theta, goal) for goal in range(2)).backward()
        optimizer.step()
    values = choice_values(problem.choice_losses(theta.detach()))
    assert (values[:3] == 1).all(), "the right choice is not where it is expected"
    assert (values[3:] > 0.6).all()


def test_a_model_without_knowledge_is_right_in_a_quarter_of_the_questions():
    problem = language_problem()
    text = np.random.default_rng(5).integers(0, 13, (2, 300, 7)).astype(np.int32)
    problem = replace(problem, corpus=replace(problem.corpus, heldout=text))
    values = choice_values(asked(problem, COUNT).choice_losses(problem.model.parameters()))
    assert abs(values[0] - 0.25) < 0.06, "600 questions: more than three standard deviations off"
    assert abs(values[3] - 0.25) < 0.01
