"""The policy: which jobs need an accepted decision, said on the launch page and held by the action."""

import html
import re
import shutil
from pathlib import Path
from urllib.parse import urlencode

import pytest
from django.conf import settings as site
from django.test import Client
from pytest_django import Settings

from playbook.contracts.dataset import Split
from playbook.contracts.prompting import PromptSettings
from playbook.contracts.run_spec import BaseModelRef
from playbook.web.accounts.models import User
from playbook.web.common.content import _cache
from playbook.web.common.permissions import Conflict
from playbook.web.datasets.actions import Card, create_dataset, import_sample_dataset
from playbook.web.datasets.models import Dataset
from playbook.web.datasets.reading import read_three_files
from playbook.web.jobs.actions import launch_job
from playbook.web.jobs.merging import request_merge
from playbook.web.jobs.models import Job, PlaygroundSession
from playbook.web.jobs.playground import start_session
from playbook.web.jobs.policy import rules_for
from playbook.web.usecases.models import UseCase
from tests.web.datasets.conftest import CARD, jsonl
from tests.web.decided import accepted
from tests.web.jobs.ended import succeeded_job
from tests.web.jobs.factories import make_spec

LAUNCH = {"title": "Tickets, first try", "recipe": "support-tickets-lora"}
LISTED = "smollm2-135m-instruct"


@pytest.fixture
def content(tmp_path: Path, settings: Settings) -> Path:
    """A copy of the content whose policy a test may write."""
    folder = tmp_path / "content"
    shutil.copytree(site.PLAYBOOK_CONTENT_DIR, folder)
    settings.PLAYBOOK_CONTENT_DIR = folder
    return folder


@pytest.fixture
def own(use_case: UseCase, alice: User) -> Dataset:
    splits = {split: jsonl(f"{split} row") for split in Split}
    return create_dataset(use_case=use_case, card=Card(**CARD), splits=read_three_files(splits), created_by=alice)


def write(content: Path, text: str) -> None:
    (content / "policy.yaml").write_text(text)
    _cache.cache_clear()  # else the change would show within a second only


def rule(content: Path, limit: str) -> None:
    write(content, f"rules:\n  - {{id: a-rule, title: A rule, why: We agreed., {limit}}}\n")


def test_own_data_are_refused_without_a_decision_on_the_page_and_in_the_action(
    client: Client, use_case: UseCase, alice: User, own: Dataset
) -> None:
    client.force_login(alice)
    given = {**LAUNCH, "dataset": str(own.pk)}
    page = client.get("/jobs/new/", {**given, "use_case": use_case.slug}).content.decode()
    assert "This job needs an accepted decision" in page
    assert "<strong>Data that are no samples</strong>" in page
    assert "What a model has learned cannot be taken out of it." in page
    answer = client.post(f"/jobs/new/?use_case={use_case.slug}", given)
    assert answer.status_code == 422
    assert "its dataset is not one of the samples (rule own-data). Start from a decision" in answer.content.decode()
    assert Job.objects.count() == 0


def test_an_accepted_decision_opens_the_way(
    client: Client, use_case: UseCase, alice: User, bob: User, charlie: User, own: Dataset
) -> None:
    decision = accepted(use_case, author=alice, ml_lead=bob, product_owner=charlie)
    client.force_login(alice)
    page = client.get(f"/jobs/new/?decision={decision.number}").content.decode()
    assert "This job needs an accepted decision" not in page
    client.post(f"/jobs/new/?decision={decision.number}", {**LAUNCH, "dataset": own.pk})
    job = Job.objects.get()
    assert job.decision == decision
    launched = client.get(job.get_absolute_url()).content.decode()
    filled = client.get(
        "/jobs/new/", {**LAUNCH, "dataset": str(own.pk), "decision": str(decision.number)}
    ).content.decode()
    for page in (launched, filled):
        assert 'because its dataset is not one of the samples (rule <span class="mono">own-data</span>): What a' in page


def test_a_refused_launch_leads_to_the_decisions_it_could_run_under(
    client: Client, use_case: UseCase, alice: User, bob: User, charlie: User, own: Dataset
) -> None:
    client.force_login(alice)
    given = {**LAUNCH, "dataset": str(own.pk), "learning_rate": "0.0002"}
    address = f"/jobs/new/?use_case={use_case.slug}"
    for page in (client.get(f"{address}&{urlencode(given)}"), client.post(address, given)):
        assert f'<a href="/decisions/?use_case={use_case.slug}">the decisions of' in page.content.decode()
        assert '<a href="/decide/">answer a checklist</a>' in page.content.decode()
    decision = accepted(use_case, author=alice, ml_lead=bob, product_owner=charlie)
    refused = client.post(address, given).content.decode()
    alert = refused.partition('role="alert"')[2].partition("</div>")[0]
    (way,) = re.findall(rf'<a href="(/jobs/new/\?decision={decision.number}&[^"]*)">D-{decision.number} ', alert)
    form = client.get(html.unescape(way)).content.decode()
    assert f'<option value="{own.pk}" selected>' in form
    assert re.search(r'name="learning_rate" value="0.0002"', form), "what was filled in is kept"
    assert 'value="Tickets, first try"' in form


def test_settings_too_long_for_an_address_are_not_taken_to_a_decision(
    client: Client, use_case: UseCase, alice: User, bob: User, charlie: User, own: Dataset
) -> None:
    decision = accepted(use_case, author=alice, ml_lead=bob, product_owner=charlie)
    client.force_login(alice)
    given = {**LAUNCH, "dataset": str(own.pk), "system": "x" * 5000}
    page = client.post(f"/jobs/new/?use_case={use_case.slug}", given).content.decode()
    (way, *_) = re.findall(rf'<a href="(/jobs/new/\?decision={decision.number}&[^"]*)">', page)
    assert html.unescape(way).endswith(f"&title=Tickets%2C+first+try&recipe=support-tickets-lora&dataset={own.pk}")


def test_a_sample_needs_none(client: Client, use_case: UseCase, alice: User) -> None:
    sample = import_sample_dataset(Path(site.PLAYBOOK_CONTENT_DIR) / "datasets/support-tickets")
    client.force_login(alice)
    answer = client.post(f"/jobs/new/?use_case={use_case.slug}", {**LAUNCH, "dataset": sample.pk})
    assert answer.status_code == 302


@pytest.mark.parametrize(
    ("limit", "because"),
    [
        ("over_gpu_minutes: 0", "it is estimated at 1 GPU minutes, and the limit is 0"),
        ("over_parameters: 100_000_000", "its base model has 134,515,008 parameters, and the limit is 100,000,000"),
    ],
)
def test_each_limit_is_held_by_the_action(
    use_case: UseCase, alice: User, content: Path, limit: str, because: str
) -> None:
    rule(content, limit)
    with pytest.raises(Conflict, match=because):
        launch_job(use_case=use_case, created_by=alice, title="x", spec=make_spec(base_model=LISTED))
    rule(content, f"{limit.partition(':')[0]}: 999_999_999_999")
    assert rules_for(make_spec(base_model=LISTED)) == ()


def test_a_model_that_is_not_listed_passes_unless_a_rule_says_otherwise(db: None, content: Path) -> None:
    assert rules_for(make_spec(base_model="unheard-of")) == ()
    rule(content, "unlisted_models: true")
    (met,) = rules_for(make_spec(base_model="unheard-of"))
    assert met.because == "its base model is not listed, so that its size is not known"


def test_a_session_and_a_merge_are_held_to_the_rules_about_the_model(
    content: Path, use_case: UseCase, alice: User, bob: User, charlie: User
) -> None:
    def talk(tuned_job: Job | None) -> PlaygroundSession:
        return start_session(
            use_case=use_case,
            base_model=BaseModelRef(id="tiny"),
            tuned_job=tuned_job,
            prompt=PromptSettings(),
            max_new_tokens=16,
            started_by=alice,
        )

    free = succeeded_job(use_case, alice)
    decision = accepted(use_case, author=alice, ml_lead=bob, product_owner=charlie)
    allowed = succeeded_job(use_case, alice, decision=decision)
    rule(content, "unlisted_models: true")
    for tuned_job in (None, free):
        with pytest.raises(Conflict, match=r"its base model is not listed, .* \(rule a-rule\)"):
            talk(tuned_job)
    with pytest.raises(Conflict, match=r"\(rule a-rule\)"):
        request_merge(free, actor=alice)
    assert talk(allowed).tuned_job == allowed
    assert request_merge(allowed, actor=alice).source == allowed


@pytest.mark.parametrize("text", ["rules: [{id: a}]", "rules:\n - !!python/object:os.system x", "a: &a [*a]", "]["])
def test_a_broken_policy_lets_no_job_start_on_its_own(use_case: UseCase, alice: User, content: Path, text: str) -> None:
    write(content, text)
    with pytest.raises(Conflict, match=r"content/policy.yaml has an error \(rule unreadable\)"):
        launch_job(use_case=use_case, created_by=alice, title="x", spec=make_spec())


def test_without_a_file_or_rules_every_job_may_start(db: None, content: Path) -> None:
    write(content, "rules: []\n")
    assert rules_for(make_spec()) == ()
    (content / "policy.yaml").unlink()
    _cache.cache_clear()
    assert rules_for(make_spec()) == ()
