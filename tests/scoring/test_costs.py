"""Costs of a request, of training, and the break-even between them."""

import pytest

from playbook.scoring.costs import break_even, break_even_requests, machine_cost, own_cost_per_token


def test_own_cost_per_token() -> None:
    assert own_cost_per_token(price_per_hour=3.6, tokens_per_second=1000) == pytest.approx(1e-6)


def test_break_even_counts_requests_and_months() -> None:
    found = break_even(
        one_off=1000, hosted_per_request=0.03, own_per_request=0.01, requests_per_month=20_000, fixed=200
    )

    assert found.requests == pytest.approx(50_000)
    assert found.months == pytest.approx(5)
    assert found.saved_per_month == pytest.approx(200)


@pytest.mark.parametrize(
    ("own", "fixed", "requests", "months"), [(0.04, 0, None, None), (0.01, 500, 50_000, None), (0.03, 0, None, None)]
)
def test_a_tuned_model_that_never_pays(own: float, fixed: float, requests: float | None, months: float | None) -> None:
    found = break_even(
        one_off=1000, hosted_per_request=0.03, own_per_request=own, requests_per_month=20_000, fixed=fixed
    )

    assert found.requests == (requests and pytest.approx(requests))
    assert found.months == months


def test_an_hour_costs_its_rate() -> None:
    assert machine_cost(3600, hour_rate=2.5) == 2.5


@pytest.mark.parametrize(
    ("before", "after", "requests"), [(2.0, 1.5, 200.0), (1.0, 1.0, None), (1.0, 2.0, None), (1e-307, 0.0, None)]
)
def test_training_is_repaid_by_cheaper_requests_alone(before: float, after: float, requests: float | None) -> None:
    assert break_even_requests(one_off=100, before=before, after=after) == requests
