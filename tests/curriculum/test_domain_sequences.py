"""Domains are visited whole, one after the other."""

import numpy as np

from trainorder.curriculum.domain_sequences import domain_sequences

DOMAINS = ["b", "a", "c", "a", "b", "c", "c"]
REFERENCE = np.array([6, 1, 4, 0, 2, 3, 5])


def test_the_domains_are_rotated_so_that_the_named_one_is_last():
    actual = domain_sequences(DOMAINS, REFERENCE)
    letters = {name: "".join(DOMAINS[unit] for unit in visits) for name, visits in actual.items()}
    assert letters == {"last-a": "bbcccaa", "last-b": "cccaabb"}


def test_inside_a_domain_units_have_the_sequence_of_the_reference():
    for visits in domain_sequences(DOMAINS, REFERENCE).values():
        for domain in "abc":
            expected = [unit for unit in REFERENCE.tolist() if DOMAINS[unit] == domain]
            assert [unit for unit in visits.tolist() if DOMAINS[unit] == domain] == expected


def test_one_domain_has_no_sequences():
    assert domain_sequences(["a"] * 3, np.arange(3)) == {}
