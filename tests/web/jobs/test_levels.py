"""Buckets of a curve: which, how many, and that no extreme is lost."""

import doctest

import pytest

from playbook.web.jobs import levels
from playbook.web.jobs.levels import FACTOR, LEVELS, MAX_BUCKETS, Bucket, bucket_of, gather, level_for, thinned


def test_the_examples_in_the_module_hold() -> None:
    assert doctest.testmod(levels).failed == 0


def test_gather_keeps_the_lowest_and_highest_point_of_each_bucket() -> None:
    found = gather([(1, 5.0), (2, 1.0), (3, 9.0), (8, 2.0)])
    assert found[1, 0] == Bucket(lowest=(2, 1.0), highest=(3, 9.0))
    assert found[1, 1] == Bucket(lowest=(8, 2.0), highest=(8, 2.0))
    assert found[6, 0] == Bucket(lowest=(2, 1.0), highest=(3, 9.0))


def test_joining_is_the_same_in_any_order_and_prefers_the_earlier_of_equals() -> None:
    first, second = Bucket((1, 2.0), (4, 8.0)), Bucket((9, 2.0), (3, 8.0))
    assert first.joined(second) == second.joined(first) == Bucket((1, 2.0), (3, 8.0))


def test_a_bucket_of_one_point_gives_it_once() -> None:
    assert list(Bucket((4, 1.0), (4, 1.0)).points()) == [(4, 1.0)]
    assert list(Bucket((6, 1.0), (4, 2.0)).points()) == [(4, 2.0), (6, 1.0)]


@pytest.mark.parametrize("last", [10, 6_399, 6_400, 1_000_000, 200_000_000])
def test_the_level_is_the_finest_that_is_bounded(last: int) -> None:
    level = level_for(0, last)
    assert bucket_of(last, level) < MAX_BUCKETS
    assert level == LEVELS[0] or bucket_of(last, level - 1) >= MAX_BUCKETS


def test_beyond_the_coarsest_level_the_coarsest_is_taken() -> None:
    assert level_for(0, FACTOR ** (LEVELS[-1] + 5)) == LEVELS[-1]


def test_thinning_keeps_ends_and_spikes_and_the_limit() -> None:
    points = [(step, 50.0 if step == 333 else 1.0) for step in range(1000)]
    found = thinned(points, 20)
    assert len(found) <= 20
    assert found[0] == (0, 1.0)
    assert found[-1] == (999, 1.0)
    assert (333, 50.0) in found
    assert found == sorted(found)
    assert thinned(points[:20], 20) == points[:20]
