"""Imports that run, end, fail or are forgotten, and the list that says how each stands."""

import json
import os
import resource
import signal
from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone
from django.utils.html import strip_tags

from playbook.datasets.spec import LOCK, PROGRESS, REPORT, Progress, Stage
from playbook.web.accounts.models import User
from playbook.web.common import blobs
from playbook.web.common.permissions import Conflict
from playbook.web.datasets import actions, imports
from playbook.web.datasets.models import Dataset, DatasetImport
from playbook.web.usecases.models import UseCase
from tests.waiting import wait_for
from tests.web.datasets.conftest import NEW, bring, ended, jsonl, one_file, waiting
from tests.web.datasets.test_imports import HTMX, TWENTY, change, page_of


def test_a_running_import_shows_its_progress_and_reloads_when_it_ends(
    client: Client, use_case: UseCase, alice: User
) -> None:
    client.force_login(alice)
    with waiting(client) as made:
        told = imports.folder_of(made.pk) / PROGRESS
        wait_for(told.exists)
        page = page_of(client, made)
        assert "Waiting for another import to end" in page
        assert '<noscript><meta http-equiv="refresh" content="2"></noscript>' in page
        told.write_text(Progress(stage=Stage.READING, share=0.4, rows=1_234).model_dump_json())
        fragment = client.get(made.get_absolute_url(), headers=HTMX).content.decode()
        assert '<progress max="100" value="40"' in fragment
        assert 'hx-trigger="every 1s"' in fragment
        assert "40 %, 1,234 rows so far" in fragment
        assert "<html" not in fragment
        for name in ("store", "change"):
            assert client.post(f"/datasets/imports/{made.pk}/{name}/").status_code == 409
    ended(made)
    assert client.get(made.get_absolute_url(), headers=HTMX)["HX-Refresh"] == "true"


def test_an_import_whose_process_was_killed_says_so_and_starts_again(
    client: Client, use_case: UseCase, alice: User
) -> None:
    client.force_login(alice)
    with waiting(client) as made:
        os.kill(int((imports.folder_of(made.pk) / LOCK).read_text()), signal.SIGKILL)
        ended(made)
        assert "The import was interrupted before it ended" in page_of(client, made)
    assert "Store the dataset" in change(client, made)


def test_a_failed_import_gives_its_reason(client: Client, use_case: UseCase, alice: User) -> None:
    client.force_login(alice)
    made = bring(client, one_file(TWENTY))
    blobs.path_of(made.order["sources"][0]["sha256"]).unlink()
    page = change(client, made)
    assert "The import stopped: FileNotFoundError" in page
    assert "Start again" in page


def test_split_files_that_changed_after_the_checks_are_not_stored(
    client: Client, use_case: UseCase, alice: User
) -> None:
    client.force_login(alice)
    made = bring(client, one_file(TWENTY))
    (imports.folder_of(made.pk) / "train.jsonl").write_bytes(jsonl("swapped"))
    response = client.post(f"/datasets/imports/{made.pk}/store/")
    assert response.status_code == 409
    assert "not those that were checked" in response.content.decode()
    assert Dataset.objects.count() == 0


def test_forgotten_imports_are_removed_with_the_next_one(client: Client, use_case: UseCase, alice: User) -> None:
    client.force_login(alice)
    old = bring(client, one_file(TWENTY))
    DatasetImport.objects.update(created_at=timezone.now() - timedelta(days=15))
    bring(client, one_file(TWENTY))
    assert not imports.folder_of(old.pk).exists()
    with pytest.raises(Conflict):
        actions.store_import(old, actor=alice)


def test_a_full_disk_is_said_and_nothing_is_stored(client: Client, use_case: UseCase, alice: User) -> None:
    """The system refuses to let a file grow, as on a full disk."""
    client.force_login(alice)
    content = jsonl(*(f"row {n} {'x' * 200}" for n in range(2_000)))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, hard))
    try:
        response = client.post(NEW, one_file(content))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    assert response.status_code == 422
    assert "The disk of the site is full, so nothing was stored." in response.content.decode()
    assert not DatasetImport.objects.exists()


def _in_the_list(client: Client) -> str:
    """Return what the list of datasets says of imports under way, without its tags."""
    page = client.get("/datasets/").content.decode()
    return " ".join(strip_tags(page.partition("Imports under way")[2].partition("</section>")[0]).split())


def test_the_list_says_how_each_import_stands(client: Client, use_case: UseCase, alice: User) -> None:
    """Else every one of them would have to be opened to find the one that waits for an answer."""
    client.force_login(alice)
    with waiting(client) as made:
        told = imports.folder_of(made.pk) / PROGRESS
        wait_for(told.exists)
        told.write_text(Progress(stage=Stage.READING, share=0.4, rows=12).model_dump_json())
        assert _in_the_list(client).startswith("Tickets of May Reading and checking rows 40 % Support ticket triage,")
    ended(made)
    assert _in_the_list(client).startswith("Tickets of May Ready to store Support ticket triage,")
    (imports.folder_of(made.pk) / REPORT).unlink()
    assert _in_the_list(client).startswith("Tickets of May Stopped Support ticket triage,")
    bring(client, one_file(b"oops\n"))
    assert _in_the_list(client).startswith("Tickets of May 1 problem Support ticket triage,")


def test_an_empty_list_leads_to_the_form(client: Client, use_case: UseCase, alice: User, mallory: User) -> None:
    client.force_login(alice)
    page = client.get("/datasets/").content.decode()
    assert "No dataset yet" in page
    assert page.count(NEW) == 1
    assert "Open one of yours" not in page
    client.force_login(mallory)
    assert "Open one of yours" in client.get("/datasets/").content.decode()


def test_a_field_with_a_nul_in_its_name_is_none_to_choose(client: Client, use_case: UseCase, alice: User) -> None:
    """The order is stored in the database, and PostgreSQL refuses a text that holds one."""
    client.force_login(alice)
    rows = [{"fra\0ge": f"question {n}", "antwort": f"answer {n}"} for n in range(4)]
    made = bring(client, one_file(b"".join(json.dumps(row).encode() + b"\n" for row in rows)))
    chosen = {"what": "mapping", "prompt": "fra\0ge", "answer": "antwort"}
    response = client.post(f"/datasets/imports/{made.pk}/change/", chosen)
    assert response.status_code == 422
    assert "Null characters are not allowed." in response.content.decode()
