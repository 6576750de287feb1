from collections import Counter

import pytest

from playbook.trainer.data import _epoch_order, rows_of_step


def test_each_row_is_seen_once_an_epoch_in_an_order_of_its_own() -> None:
    lengths = tuple(10 + n % 13 for n in range(96))

    epochs = [
        [row for step in range(first, first + 12) for row in rows_of_step(lengths, step=step, rows_per_step=8, seed=3)]
        for first in (0, 12)
    ]

    assert [Counter(epoch) for epoch in epochs] == [Counter(range(96))] * 2
    assert epochs[0] != epochs[1]


def test_rows_of_a_step_are_alike_in_length() -> None:
    lengths = tuple(range(64))

    spreads = [
        max(rows) - min(rows)
        for rows in (rows_of_step(lengths, step=step, rows_per_step=8, seed=0) for step in range(8))
    ]

    assert spreads == [7] * 8


@pytest.mark.parametrize(("rows", "rows_per_step"), [(3, 8), (5, 2), (1, 1)])
def test_a_small_split_repeats_to_fill_a_step(rows: int, rows_per_step: int) -> None:
    seen = Counter(
        row for step in range(rows) for row in rows_of_step((9,) * rows, step=step, rows_per_step=rows_per_step, seed=1)
    )

    assert seen == Counter(dict.fromkeys(range(rows), rows_per_step))


def test_the_order_of_an_epoch_is_made_once_however_many_steps_it_has() -> None:
    """Of a million rows it takes a second, which every step would be kept waiting."""
    lengths = tuple(range(200, 264))
    before = _epoch_order.cache_info().misses

    for step in range(16):
        rows_of_step(lengths, step=step, rows_per_step=8, seed=5)

    assert _epoch_order.cache_info().misses == before + 2
