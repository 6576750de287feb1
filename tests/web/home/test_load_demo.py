import json
import stat
from pathlib import Path

import pytest
from django.contrib.auth import authenticate
from django.core.management import CommandError, call_command
from pytest_django import Settings

from playbook.web.accounts.models import User
from playbook.web.datasets.models import Dataset, DatasetVersion, DocumentSet


def _people(settings: Settings) -> dict[str, str]:
    """Return the password file after checking that each person may log in with what it says."""
    written = json.loads((settings.PLAYBOOK_DATA_DIR / "demo-people.json").read_text())
    for person in written["people"]:
        assert authenticate(username=person["username"], password=written["password"]) is not None
    return {person["username"]: person["name"] for person in written["people"]}


@pytest.mark.django_db
def test_load_demo_makes_people_who_can_log_in_and_imports_the_sample_dataset(settings: Settings) -> None:
    settings.PLAYBOOK_DATA_DIR.mkdir()
    call_command("load_demo")
    assert _people(settings) == {
        "alice": "Alice Moreau",
        "bob": "Bob Okafor",
        "charlie": "Charlie Lindqvist",
        "dana": "Dana Ferreira",
    }
    assert list(Dataset.objects.order_by("slug").values_list("slug", "is_sample")) == [
        ("company-facts", True),
        ("order-numbers", True),
        ("support-tickets", True),
    ]
    assert list(DocumentSet.objects.values_list("name", "is_sample")) == [("Company facts that change", True)]
    assert [user.username for user in User.objects.filter(groups__name="Playbook editors")] == ["alice"]
    assert stat.filemode((settings.PLAYBOOK_DATA_DIR / "demo-people.json").stat().st_mode) == "-rw-------"


@pytest.mark.django_db
def test_load_demo_again_changes_nothing(settings: Settings) -> None:
    settings.PLAYBOOK_DATA_DIR.mkdir()
    call_command("load_demo")
    before = list(User.objects.values_list("username", "password"))
    call_command("load_demo")
    assert list(User.objects.values_list("username", "password")) == before
    assert (DatasetVersion.objects.count(), DocumentSet.objects.count()) == (3, 1)
    _people(settings)


@pytest.mark.django_db
@pytest.mark.parametrize("damage", [None, "", "{", "[]", "{}"])
def test_load_demo_makes_a_new_password_when_the_file_is_lost(settings: Settings, damage: str | None) -> None:
    settings.PLAYBOOK_DATA_DIR.mkdir()
    call_command("load_demo")
    file = settings.PLAYBOOK_DATA_DIR / "demo-people.json"
    if damage is None:
        file.unlink()
    else:
        file.write_text(damage)
    call_command("load_demo")
    assert len(_people(settings)) == 4


@pytest.mark.django_db
def test_load_demo_names_a_broken_sample_dataset(settings: Settings, tmp_path: Path) -> None:
    settings.PLAYBOOK_DATA_DIR.mkdir()
    settings.PLAYBOOK_CONTENT_DIR = tmp_path
    folder = tmp_path / "datasets/broken"
    folder.mkdir(parents=True)
    (folder / "card.md").write_text("no front matter")
    with pytest.raises(CommandError, match=rf"^The sample dataset in {folder} cannot be imported: "):
        call_command("load_demo")
