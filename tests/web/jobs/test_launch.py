"""The launch form: every setting of the contract, clones with changes, refusals in sentences, priority."""

import doctest
from decimal import Decimal
from pathlib import Path

import pytest
from django.conf import settings as site
from django.test import Client
from django.utils.html import escape
from pydantic.fields import FieldInfo
from pytest_django import Settings

from playbook.contracts.dataset import Split
from playbook.contracts.documents import Document
from playbook.contracts.metrics import MetricSettings
from playbook.contracts.prompting import PromptSettings, WrittenExample
from playbook.contracts.run_spec import EvaluationSettings, LoraSettings, TrainingSettings
from playbook.web.accounts.models import User
from playbook.web.datasets.actions import Card, add_version, create_dataset, import_sample_dataset
from playbook.web.datasets.document_sets import add_document_set
from playbook.web.datasets.models import Dataset, DatasetVersion, DocumentSet, SplitFile
from playbook.web.datasets.reading import read_three_files
from playbook.web.decisions.models import Decision
from playbook.web.jobs import actions, setting_fields
from playbook.web.jobs.forms import SETTINGS
from playbook.web.jobs.models import Job
from playbook.web.jobs.setting_fields import RunSetting
from playbook.web.usecases.actions import create_use_case
from playbook.web.usecases.models import UseCase
from tests.web.datasets.conftest import CARD, jsonl
from tests.web.decided import accepted
from tests.web.jobs.factories import make_job, make_spec

LAUNCH = {"title": "Tickets, first try", "recipe": "support-tickets-lora"}


@pytest.fixture
def sample(db: None) -> Dataset:
    return import_sample_dataset(Path(site.PLAYBOOK_CONTENT_DIR) / "datasets/support-tickets")


@pytest.fixture
def source(use_case: UseCase, alice: User) -> Job:
    """A job on a listed base model, so that its clone can run."""
    return make_job(use_case, alice, base_model="smollm2-135m-instruct", priority=3, max_steps=12)


def test_the_examples_in_the_module_hold() -> None:
    assert doctest.testmod(setting_fields).failed == 0


def test_every_setting_of_the_contract_is_in_the_form_under_its_upstream_name(
    client: Client, use_case: UseCase, alice: User, sample: Dataset
) -> None:
    client.force_login(alice)
    page = client.get(f"/jobs/new/?use_case={use_case.slug}").content.decode()
    names = [name for part in (LoraSettings, TrainingSettings, EvaluationSettings) for name in part.model_fields]
    of_the_dataset = set(MetricSettings.model_fields) - {"metric"}
    assert {name for name in names if f'name="{name}"' not in page} == of_the_dataset
    assert len(SETTINGS) == len(setting_fields.run_settings()), "two settings share a name"
    assert "; from 1 to 1,024; default 16." in page
    assert "; above 0, at most 1; default 0.0005." in page
    assert [name for name, setting in SETTINGS.items() if escape(setting.help_text) not in page] == []


def test_the_recipe_stands_in_the_empty_fields_and_changes_with_it(
    client: Client, use_case: UseCase, alice: User, sample: Dataset
) -> None:
    client.force_login(alice)
    query = {"use_case": use_case.slug, **LAUNCH, "dataset": str(sample.pk)}
    page = client.get("/jobs/new/", query).content.decode()
    assert 'name="learning_rate" step="any" placeholder="0.0015"' in page
    headers = {"HX-Request": "true", "HX-Target": "settings"}
    part = client.get("/jobs/new/", query | {"recipe": ""}, headers=headers).content.decode()
    assert part.lstrip().startswith('<div id="settings"')
    assert 'name="learning_rate" step="any" placeholder=""' in part


def test_changed_settings_reach_the_run_spec(client: Client, use_case: UseCase, alice: User, sample: Dataset) -> None:
    client.force_login(alice)
    changed = {
        "r": "4",
        "target_modules": "q_proj, v_proj",
        "arms": ["zero_shot", "few_shot"],
        "lr_scheduler_type": "cosine",
        "priority": "-2",
    }
    client.post(f"/jobs/new/?use_case={use_case.slug}", {**LAUNCH, "dataset": sample.pk, **changed})
    job = Job.objects.get()
    spec = job.run_spec
    assert (spec.lora.r, spec.lora.target_modules, spec.lora.lora_alpha) == (4, ("q_proj", "v_proj"), 32)
    assert ([str(arm) for arm in spec.evaluation.arms], spec.training.lr_scheduler_type) == (
        ["zero_shot", "few_shot"],
        "cosine",
    )
    assert job.priority == -2


@pytest.mark.parametrize(("rate", "cost"), [("2.5", {"hour_rate": 2.5, "currency": "CHF"}), ("0", None)])
def test_a_job_keeps_what_the_machine_cost_on_its_day(
    client: Client, use_case: UseCase, alice: User, sample: Dataset, settings: Settings, rate: str, cost: object
) -> None:
    settings.PLAYBOOK_GPU_HOUR_RATE, settings.PLAYBOOK_CURRENCY = Decimal(rate), "CHF"
    client.force_login(alice)

    client.post(f"/jobs/new/?use_case={use_case.slug}", {**LAUNCH, "dataset": sample.pk})

    assert Job.objects.get().spec["cost"] == cost


def test_a_setting_that_may_be_none_can_be_unset() -> None:
    setting = RunSetting(("training", "patience"), FieldInfo(annotation=int | None, default=None))
    assert setting_fields.setting_value(setting, "none") is None
    assert setting_fields.setting_value(setting, "3") == "3"
    assert setting_fields.setting_value(setting, "") is setting_fields.UNCHANGED


def test_the_aside_names_what_differs_from_the_recipe(
    client: Client, use_case: UseCase, alice: User, sample: Dataset
) -> None:
    client.force_login(alice)
    query = {"use_case": use_case.slug, **LAUNCH, "dataset": str(sample.pk), "r": "8", "max_length": "256"}
    part = client.get("/jobs/new/", query, headers={"HX-Request": "true"}).content.decode()
    assert '<dt class="mono">r</dt><dd class="num"><del class="muted">16</del> 8</dd>' in part
    assert "max_length" not in part, "the recipe has 256 already"


def test_a_clone_is_filled_in_and_marks_what_is_changed(client: Client, source: Job, alice: User) -> None:
    client.force_login(alice)
    page = client.get(f"/jobs/new/?clone={source.pk}").content.decode()
    assert f"Clone of job {source.pk}" in page
    assert 'name="max_steps" value="12"' in page
    assert "Nothing is changed yet" in page
    assert "changed from" not in page
    page = client.get(f"/jobs/new/?clone={source.pk}&max_steps=20&lora_alpha=").content.decode()
    assert page.count("changed from") == 1
    assert "changed from 12" in page


def test_the_clone_of_a_job_that_trains_nothing_is_not_said_to_train(
    client: Client, use_case: UseCase, alice: User
) -> None:
    client.force_login(alice)
    page = client.get(f"/jobs/new/?clone={make_job(use_case, alice).pk}").content.decode()
    assert "It trains nothing: it measures how the base model answers." in page
    assert "Tune a base model" in client.get(f"/jobs/new/?use_case={use_case.slug}").content.decode()


def test_a_clone_says_which_version_it_takes_and_that_a_newer_one_is_there(
    client: Client, use_case: UseCase, alice: User
) -> None:
    splits = {split: jsonl(f"{split} row") for split in Split}
    dataset = create_dataset(use_case=use_case, card=Card(**CARD), splits=read_three_files(splits), created_by=alice)
    spec = make_spec(base_model="smollm2-135m-instruct").model_copy(update={"inputs": dataset.versions.get().inputs()})
    source = actions.launch_job(use_case=use_case, created_by=alice, title="First", spec=spec)
    client.force_login(alice)
    address = f"/jobs/new/?clone={source.pk}"
    assert f"Job {source.pk} took {dataset} v1, which is the newest version." in client.get(address).content.decode()
    newer = {**splits, Split.TRAIN: jsonl("a", "b")}
    add_version(dataset, splits=read_three_files(newer), created_by=alice)
    page = client.get(address).content.decode()
    assert f"Job {source.pk} took {dataset} v1; the newest is v2. Choose “{dataset}” to take it: unless" in page
    client.post(address, {"title": "Same"})
    client.post(address, {"title": "Newer", "dataset": str(dataset.pk)})
    same, newest = (Job.objects.get(title=title).run_spec.inputs for title in ("Same", "Newer"))
    assert same == spec.inputs
    assert newest == dataset.versions.get(number=2).inputs()


def test_a_clone_whose_files_are_no_datasets_takes_the_very_same_ones(client: Client, source: Job, alice: User) -> None:
    client.force_login(alice)
    page = client.get(f"/jobs/new/?clone={source.pk}").content.decode()
    assert f"The files of job {source.pk} are no dataset’s of this use case" in page


def test_launching_a_clone_takes_the_same_files_and_recipe(client: Client, source: Job, alice: User) -> None:
    client.force_login(alice)
    answer = client.post(f"/jobs/new/?clone={source.pk}", {"title": "Again", "learning_rate": "0.0001"})
    clone = Job.objects.exclude(pk=source.pk).get()
    assert answer.headers["Location"] == f"/jobs/{clone.pk}/"
    expected = source.run_spec
    training = expected.training.model_copy(update={"learning_rate": 0.0001})
    assert clone.run_spec == expected.model_copy(update={"training": training})
    assert (clone.cloned_from, clone.recipe, clone.use_case) == (source, source.recipe, source.use_case)


def test_a_clone_sent_by_a_browser_changes_no_line_end_and_no_space(client: Client, source: Job, alice: User) -> None:
    """Browsers send every line of a text with CR LF; the model would read another prompt than that of the source."""
    client.force_login(alice)
    spec = source.run_spec
    prompt = spec.prompt.model_copy(update={"system": "Be brief.\nAnswer in JSON.\n"})
    Job.objects.filter(pk=source.pk).update(
        spec=spec.model_copy(update={"prompt": prompt}).model_dump(mode="json")  # as the workbench stores it
    )
    sent = client.get(f"/jobs/new/?clone={source.pk}").context["form"]
    texts = {name: str(sent[name].value()).replace("\n", "\r\n") for name in ("system", "passages_template")}
    assert "\r\n" in texts["passages_template"]
    client.post(f"/jobs/new/?clone={source.pk}", {"title": "Again", **texts})
    clone = Job.objects.exclude(pk=source.pk).get()
    assert clone.run_spec == Job.objects.get(pk=source.pk).run_spec


def test_a_clone_keeps_its_decision_while_that_is_accepted(
    client: Client, use_case: UseCase, alice: User, bob: User, charlie: User
) -> None:
    decision: Decision = accepted(use_case, author=alice, ml_lead=bob, product_owner=charlie)
    spec = make_spec(base_model="smollm2-135m-instruct")
    source = actions.launch_job(use_case=use_case, created_by=alice, title="x", spec=spec, decision=decision)
    client.force_login(alice)
    client.post(f"/jobs/new/?clone={source.pk}", {"title": "Again"})
    assert Job.objects.exclude(pk=source.pk).get().decision == decision


def test_who_may_not_launch_may_not_clone(client: Client, source: Job, mallory: User) -> None:
    client.force_login(mallory)
    assert client.get(f"/jobs/new/?clone={source.pk}").status_code == 404
    assert client.post(f"/jobs/new/?clone={source.pk}", {"title": "x"}).status_code == 404
    source.use_case.memberships.create(user=mallory, role="viewer")
    assert client.get(f"/jobs/new/?clone={source.pk}").status_code == 403
    assert "Clone with changes" not in client.get(f"/jobs/{source.pk}/").content.decode()
    assert client.post(f"/jobs/new/?clone={source.pk}", {"title": "x"}).status_code == 403
    assert Job.objects.count() == 1


@pytest.mark.parametrize("clone", ["x", "0", "99999999999999999999", "²"])
def test_a_clone_of_nothing_is_404(client: Client, alice: User, clone: str) -> None:
    client.force_login(alice)
    assert client.get("/jobs/new/", {"clone": clone}).status_code == 404


def test_a_dataset_without_a_locked_test_split_is_refused(
    client: Client, use_case: UseCase, alice: User, sample: Dataset
) -> None:
    assert sample.latest is not None
    version = DatasetVersion.objects.create(dataset=sample, number=sample.latest.number + 1, made_from="")
    SplitFile.objects.bulk_create(
        SplitFile(version=version, split=file.split, sha256=file.sha256, size_bytes=file.size_bytes, rows=file.rows)
        for file in sample.latest.files.exclude(split="test")
    )
    sample = Dataset.objects.get(pk=sample.pk)
    client.force_login(alice)
    answer = client.post(f"/jobs/new/?use_case={use_case.slug}", {**LAUNCH, "dataset": sample.pk})
    assert answer.status_code == 422
    assert "has no locked test split, and a job cannot start without one" in answer.content.decode()
    assert Job.objects.count() == 0


@pytest.fixture
def documents(use_case: UseCase, alice: User) -> DocumentSet:
    found = [Document(id="hours", title="Hours", text="Nine to five.")]
    return add_document_set(use_case=use_case, name="Rules, May", documents=found, created_by=alice)


def test_a_job_of_prompt_arms_alone_is_launched_with_its_documents(
    client: Client, use_case: UseCase, alice: User, sample: Dataset, documents: DocumentSet
) -> None:
    client.force_login(alice)
    asked = {
        "arms": ["zero_shot", "few_shot", "rag"],
        "few_shot_choice": "nearest",
        "top_k": "2",
        "system": "Be brief.\nUse JSON.",
    }
    launched = {**LAUNCH, "dataset": sample.pk, "documents": documents.pk, **asked}
    client.post(f"/jobs/new/?use_case={use_case.slug}", launched)
    spec = Job.objects.get().run_spec
    assert (spec.trains, spec.documents, spec.retrieval.top_k) == (False, documents.as_input(), 2)
    assert spec.prompt.system is not None
    assert spec.prompt.system.splitlines() == ["Be brief.", "Use JSON."]
    assert spec.evaluation.few_shot_choice == "nearest"


def test_an_arm_that_retrieves_needs_documents(
    client: Client, use_case: UseCase, alice: User, sample: Dataset, documents: DocumentSet
) -> None:
    client.force_login(alice)
    launched = {**LAUNCH, "dataset": sample.pk, "arms": ["zero_shot", "rag"]}
    answer = client.post(f"/jobs/new/?use_case={use_case.slug}", launched)
    assert answer.status_code == 422
    assert "The arms RAG and RAG+LoRA search documents; choose which." in answer.content.decode()
    answer = client.post(f"/jobs/new/?use_case={use_case.slug}", launched | {"arms": ["lora"], "split": "validation"})
    assert answer.status_code == 422
    assert "cannot measure lora" in answer.content.decode()
    assert Job.objects.count() == 0


def test_a_clone_keeps_documents_and_hand_written_examples(
    client: Client, source: Job, alice: User, documents: DocumentSet
) -> None:
    prompt = PromptSettings(examples=(WrittenExample(user="1 + 1?", assistant="2"),))
    spec = source.run_spec.model_copy(update={"prompt": prompt, "documents": documents.as_input()})
    source.spec = spec.model_dump(mode="json")
    source.save(update_fields=["spec"])
    client.force_login(alice)
    client.post(f"/jobs/new/?clone={source.pk}", {"title": "Again", "arms": ["few_shot", "rag"]})
    clone = Job.objects.exclude(pk=source.pk).get().run_spec
    assert (clone.prompt, clone.documents) == (prompt, documents.as_input())


def test_documents_of_another_use_case_cannot_be_searched(
    client: Client, use_case: UseCase, alice: User, mallory: User, sample: Dataset, documents: DocumentSet
) -> None:
    other = create_use_case(name="Other", description="", created_by=mallory, members={})
    client.force_login(mallory)
    launched = {**LAUNCH, "dataset": sample.pk, "arms": ["rag"], "documents": documents.pk}
    assert client.post(f"/jobs/new/?use_case={other.slug}", launched).status_code == 422
    assert Job.objects.count() == 0


def test_the_form_begins_with_the_run_of_the_tutorial(
    client: Client, use_case: UseCase, alice: User, sample: Dataset
) -> None:
    import_sample_dataset(Path(site.PLAYBOOK_CONTENT_DIR) / "datasets/company-facts")
    client.force_login(alice)
    page = client.get(f"/jobs/new/?use_case={use_case.slug}").content.decode()
    assert f'<option value="{sample.pk}" selected>' in page
    assert '<option value="support-tickets-lora" selected>' in page


def test_what_is_missing_is_said_in_a_sentence(client: Client, use_case: UseCase, alice: User) -> None:
    client.force_login(alice)
    page = client.get(f"/jobs/new/?use_case={use_case.slug}").content.decode()
    assert '<p class="error" role="alert">Choose a dataset: nothing can be measured without one.</p>' in page
    answer = client.post(f"/jobs/new/?use_case={use_case.slug}", {**LAUNCH, "title": " "})
    assert answer.status_code == 422
    assert "Give the job a title." in answer.content.decode()
