"""A process that serves is warm, and what it keeps for good is out of the garbage collector's way."""

import gc
from collections.abc import Iterator

import pytest
from django.template import engines
from django.template.loaders.cached import Loader

from playbook.web.common.content import library
from playbook.web.common.warm import template_names, warm_up


@pytest.fixture(scope="module")
def warm() -> Iterator[None]:
    warm_up()
    yield
    gc.unfreeze()


def test_a_warm_process_has_compiled_every_template(warm: None) -> None:
    (loader,) = engines["django"].engine.template_loaders  # type: ignore[attr-defined]  # of Django's engine alone
    assert isinstance(loader, Loader)
    compiled = {template.name for template in loader.get_template_cache.values()}
    assert "jobs/job_list.html" in compiled
    assert set(template_names()) - compiled == set()


def test_a_full_collection_walks_neither_content_nor_code(warm: None) -> None:
    walked = {id(thing) for thing in gc.get_objects()}
    kept = [*library().articles.values(), vars(library()), vars(gc), globals()]
    assert [type(thing) for thing in kept if gc.is_tracked(thing) and id(thing) in walked] == []
