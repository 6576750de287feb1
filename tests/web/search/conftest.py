"""An index for each test: the database of the test before it is gone."""

from collections.abc import Iterator

import pytest

from playbook.web.common import finding


@pytest.fixture(autouse=True)
def _own_index() -> Iterator[None]:
    finding.forget_indexes()
    yield
    finding.forget_indexes()
