"""The documentation is true: every setting, command, folder, spec field and event is documented, and exists."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from playbook.contracts import events, metrics, prompting, protocol, run_spec
from playbook.web.jobs.protocol_api import api
from tests.benchmarks.table import README_BEGIN, README_END, measured_table

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
#: Read by the operating system, pip or Django, not settings of ours.
NOT_OURS = {"DJANGO_SETTINGS_MODULE"}


def _variables_in_code() -> set[str]:
    text = "\n".join(path.read_text() for path in (ROOT / "playbook").rglob("*.py"))
    return set(re.findall(r"\"(PLAYBOOK_[A-Z_]+|DATABASE_URL)\"", text)) - NOT_OURS


def test_every_environment_variable_stands_in_the_readme() -> None:
    assert {name for name in _variables_in_code() if f"| `{name}` |" not in README} == set()


def test_every_variable_in_the_readme_is_read_somewhere() -> None:
    named = set(re.findall(r"^\| `([A-Z_]+)` \|", README, re.MULTILINE))
    code = "\n".join(path.read_text() for path in (ROOT / "playbook").rglob("*.py"))
    assert {name for name in named if name not in code and name != "DATABASE_URL"} == set()


def test_every_package_stands_in_the_folder_table() -> None:
    table = README.partition("## Where things are")[2].partition("## Settings")[0]
    packages = [path.parent for path in (ROOT / "playbook").glob("*/__init__.py")]
    apps = [path.parent for path in (ROOT / "playbook/web").glob("*/__init__.py")]
    missing = [path.name for path in (*packages, *apps) if path.name != "web" and f"{path.name}/`" not in table]
    assert missing == []


def test_every_path_in_the_readme_exists() -> None:
    paths = re.findall(r"`((?:playbook|content|templates|tests)/[a-z_/.-]*)`", README)
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_every_image_in_the_readme_exists() -> None:
    images = re.findall(r"!\[[^]]+\]\(([^)]+)\)", README)
    assert images
    assert [image for image in images if not (ROOT / image).is_file()] == []


def test_the_measured_figures_are_those_of_the_result_files() -> None:
    table = README.partition(README_BEGIN)[2].partition(README_END)[0]
    assert table.strip() == measured_table().strip()


def test_every_make_target_is_in_make_help() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^([a-z][a-z-]*):(?!=)", makefile, re.MULTILINE)
    documented = re.findall(r"^([a-z][a-z-]*):.*## ", makefile, re.MULTILINE)
    assert sorted(targets) == sorted(documented)


SPEC_MODELS = [
    prompting.PromptSettings,
    prompting.WrittenExample,
    prompting.RetrievalSettings,
    prompting.DocumentsFile,
    run_spec.BaseModelRef,
    run_spec.LoraSettings,
    run_spec.TrainingSettings,
    run_spec.EvaluationSettings,
    run_spec.CostSettings,
    metrics.MetricSettings,
    metrics.RubricRule,
    run_spec.InputFile,
    run_spec.RunSpec,
]


@pytest.mark.parametrize("model", SPEC_MODELS, ids=lambda model: model.__name__)
def test_every_field_of_the_run_spec_has_a_description(model: type[BaseModel]) -> None:
    assert [name for name, field in model.model_fields.items() if not field.description] == []


def _kinds() -> list[type[BaseModel]]:
    return [
        value
        for value in vars(events).values()
        if isinstance(value, type) and issubclass(value, BaseModel) and "kind" in value.model_fields
    ]


@pytest.mark.parametrize("event", _kinds(), ids=lambda event: event.__name__)
def test_every_event_has_a_docstring(event: type[BaseModel]) -> None:
    assert event.__doc__


def test_every_protocol_path_is_published_and_described() -> None:
    described = set(re.findall(r"`(?:GET|PUT|POST) +(/[^?`]*)", protocol.__doc__ or ""))
    published = {
        path.removeprefix("/api/worker/v1").replace("{job_id}", "{id}") for path in api.get_openapi_schema()["paths"]
    }
    assert published == described
