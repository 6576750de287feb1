"""The page of base models: every column sorts both ways without JavaScript, and says in which order it is."""

import re
from pathlib import Path

import pytest
from django.test import Client

from playbook.library.catalog import BaseModelEntry, Shape
from playbook.web.wiki.model_views import COLUMNS, anchor, sorted_by

URL = "/library/models/"
MODELS = """- id: small
  title: Small
  parameters: 1000
  licence: MIT
  context_length: 512
  size_bytes: 2000
  source: Made for this test.
  status: superseded
  superseded_by: maker/Large-1.5
  bundled: true
- id: maker/Large-1.5
  revision: 0123456789abcdef0123456789abcdef01234567
  title: Large
  parameters: 134515008
  licence: Apache-2.0
  context_length: 128
  shape: {hidden_size: 576, layers: 30, intermediate_size: 1536, vocabulary: 49152, heads: 9, kv_heads: 3,
          tied_embeddings: true}
  chat_template: ChatML
  source: Read for this test.
  url: https://example.org/large
  accessed: 2026-11-25
"""


@pytest.fixture
def models(content: Path) -> Path:
    (content / "models.yaml").write_text(MODELS)
    return content


def titles(page: str) -> list[str]:
    return re.findall(r'<th scope="row">\s*(?:<a [^>]*>)?(\w+)', page)


def test_the_page_lists_the_smallest_first(reader: Client, models: Path) -> None:
    page = reader.get(URL).content.decode()

    assert titles(page) == ["Small", "Large"]
    assert re.findall(r'aria-sort="(\w+)"><a class="nowrap" href="([^"]*)">(\w+)', page) == [
        ("ascending", "?sort=-parameters", "Parameters")
    ]


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("title", ["Large", "Small"]),
        ("-title", ["Small", "Large"]),
        ("parameters", ["Small", "Large"]),
        ("-parameters", ["Large", "Small"]),
        ("lora", ["Large", "Small"]),
        ("-lora", ["Large", "Small"]),
        ("qlora", ["Large", "Small"]),
        ("context", ["Large", "Small"]),
        ("-context", ["Small", "Large"]),
        ("licence", ["Large", "Small"]),
        ("template", ["Large", "Small"]),
        ("status", ["Large", "Small"]),
        ("-status", ["Small", "Large"]),
    ],
)
def test_each_column_sorts_and_what_is_unknown_comes_last(
    reader: Client, models: Path, sort: str, expected: list[str]
) -> None:
    page = reader.get(URL, {"sort": sort}).content.decode()

    assert titles(page) == expected
    assert page.count("aria-sort=") == 1


def test_a_row_shows_what_is_known_of_a_model(reader: Client, models: Path) -> None:
    page = reader.get(URL).content.decode()

    assert '<tr id="maker-large-1-5">' in page
    assert "maker/Large-1.5 @ 0123456789ab" in page
    assert '<a href="https://example.org/large" rel="noopener noreferrer">Large</a>' in page
    assert 'by <a href="#maker-large-1-5">Large</a>' in page
    assert '<span class="badge info">Bundled</span>' in page
    assert "Read for this test. Read 25 Nov 2026." in page
    assert page.count(">not read<") == 1
    assert page.count("–</td>") == 2  # no shape, so no estimate


@pytest.mark.parametrize("sort", ["colour", "", "-", "' OR 1=1", "title,parameters"])
def test_an_unknown_column_is_refused(reader: Client, models: Path, sort: str) -> None:
    assert reader.get(URL, {"sort": sort}).status_code == 400


def test_a_library_without_base_models_says_so(reader: Client) -> None:
    assert "No base models yet" in reader.get(URL).content.decode()


def test_the_page_only_reads_and_asks_for_a_login(client: Client, reader: Client, models: Path) -> None:
    assert reader.post(URL).status_code == 405
    assert Client().get(URL).status_code == 302


def test_equal_models_are_sorted_by_title() -> None:
    shape = Shape(hidden_size=8, layers=1, intermediate_size=8, vocabulary=8, heads=1, kv_heads=1, tied_embeddings=True)
    entries = {
        title: BaseModelEntry(
            id=title, title=title, parameters=1, licence="MIT", context_length=1, source="Test.", shape=shape
        )
        for title in ("b", "a")
    }

    assert [model.id for column in COLUMNS[1:] for model in sorted_by(column, entries)][:2] == ["a", "b"]
    assert anchor("Qwen/Qwen3-8B") == "qwen-qwen3-8b"
