"""Whatever people type into the database, no page lets it execute: every page, filled with attacks."""

import pytest
from django.db import connection
from django.db.models import Model
from django.test import Client

from playbook.web.accounts.models import User
from playbook.web.assessments.models import Answer, Remark
from playbook.web.common import finding, guards
from playbook.web.datasets.models import Dataset
from playbook.web.decisions.models import Decision
from playbook.web.jobs.models import Job, Worker
from playbook.web.outcomes.models import OutcomeReview
from playbook.web.search.models import MissedSearch
from playbook.web.usecases.models import UseCase
from playbook.web.wiki.models import Flag
from tests.web.every_page import make_rows
from tests.web.wiki.test_hostile_library import EVIL, attacks

TYPED: dict[type[Model], tuple[str, ...]] = {
    UseCase: ("name", "description"),
    Dataset: ("name", "description", "source", "licence", "data_owner", "consent"),
    Job: ("title", "end_message"),
    Decision: ("title", "context", "consequences"),
    OutcomeReview: ("criterion_text", "lessons"),
    Answer: ("comment",),
    Remark: ("text",),
    Flag: ("comment",),
    MissedSearch: ("query",),
    Worker: ("name",),
    User: ("name",),
}
SEARCHES = ("/search/?q=onerror", "/search/palette?q=onerror", "/search/palette?q=nothingatall%22%3E%3Cimg")


@pytest.mark.django_db
def test_no_page_lets_a_row_execute(client: Client, bob: User, charlie: User, every_block: None) -> None:
    finding.forget_indexes()
    erin = User.objects.create_user("erin", name="Erin Vogel", is_staff=True)
    rows = make_rows(erin, bob, charlie)
    guards.lift(connection)  # the words must get there, whatever the database keeps as it was appended
    for model, fields in TYPED.items():
        for row in model._default_manager.all():
            lengths = {field.name: field.max_length for field in model._meta.concrete_fields}
            values = {name: f"{row.pk} {EVIL}"[: lengths[name]] for name in fields}
            model._default_manager.filter(pk=row.pk).update(**values)
    guards.set_up(connection)
    finding.forget_indexes()
    client.force_login(erin)

    pages = {path: client.get(path) for path in (*(row.path for row in rows if row.who), *SEARCHES)}

    assert {path: found for path, page in pages.items() if (found := attacks(page.content.decode()))} == {}
    assert {path for path, page in pages.items() if page.status_code >= 500} == set()
    assert sum("&lt;img src=x" in page.content.decode() for page in pages.values()) >= 20  # the words did arrive
