"""Twenty questions of newcomers: at least eighteen have their answer as first or second result of the search."""

from pathlib import Path

import pytest
import yaml

from playbook.library.content import load_library
from playbook.library.search import SearchIndex
from playbook.library.search_documents import PUBLIC, changed_documents
from playbook.library.search_query import Filters

HERE = Path(__file__).parent
LIBRARY = load_library(HERE.parents[1] / "content")
QUESTIONS = yaml.safe_load((HERE / "newcomers.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def index() -> SearchIndex:
    made = SearchIndex()
    documents, _ = changed_documents(LIBRARY, {})
    made.replace(documents)
    return made


def test_there_are_twenty_questions_and_their_answers_exist() -> None:
    assert len({question["ask"] for question in QUESTIONS}) == 20
    assert {key for question in QUESTIONS for key in question["answers"]} - LIBRARY.articles.keys() == set()


def test_eighteen_of_twenty_are_answered_by_the_first_two_results(index: SearchIndex) -> None:
    """A heading that is found leads to its article."""
    missed = {}
    for question in QUESTIONS:
        hits = index.search(question["ask"], Filters(groups=(PUBLIC,)), limit=2).hits
        found = [f"{hit.kind}:{hit.key}" for hit in hits]
        if not {name.partition(":")[2].partition("#")[0] for name in found} & set(question["answers"]):
            missed[question["ask"]] = found

    assert len(missed) <= 2, missed
