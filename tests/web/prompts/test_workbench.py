"""The workbench: edit beside what the model will see, take examples from train rows, save. Test rows never show."""

from collections.abc import Callable

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries
from pytest_django.asserts import assertTemplateUsed

from playbook.contracts.prompting import PromptSettings, WrittenExample
from playbook.contracts.roles import Role
from playbook.web.accounts.models import User
from playbook.web.datasets.models import Dataset
from playbook.web.prompts.actions import create_prompt, save_version
from playbook.web.prompts.models import Prompt, PromptVersion
from playbook.web.usecases.actions import add_member
from playbook.web.usecases.models import UseCase

WRITTEN = {"system": "Answer in JSON.", "user_template": "Ticket: {input}", "note": "first"}
HTMX = {"HX-Request": "true", "HX-Target": "preview"}


@pytest.fixture
def url(prompt: Prompt, dataset: Dataset) -> str:
    return f"/prompts/{prompt.pk}/"


@pytest.fixture
def post(client: Client, alice: User, url: str) -> Callable[..., str]:
    client.force_login(alice)

    def send(do: str, status: int = 200, *, htmx: bool = False, **changed: object) -> str:
        answer = client.post(url, {**WRITTEN, **changed, "do": do}, headers=HTMX if htmx else {})
        assert answer.status_code == status, answer.content.decode()
        return answer.content.decode()

    return send


def test_what_the_model_will_see_stands_beside_the_form(client: Client, alice: User, url: str) -> None:
    client.force_login(alice)
    page = client.get(url).content.decode()
    assert "Validation row 1 of 2" in page
    assert "the door is stuck" in page
    assert "The row&#x27;s own system message." in page
    assert "the locked question" not in page
    assert "about 27 tokens" in page  # 46 characters make 12, and three turns of 5 each 15


def test_a_save_without_javascript_appends_a_version(client: Client, post: Callable[..., str], prompt: Prompt) -> None:
    answer = client.post(
        prompt.get_absolute_url(),
        {**WRITTEN, "do": "save", "example_user": ["a\r\nb", ""], "example_assistant": ["B", ""], "row": "2"},
    )
    version = PromptVersion.objects.get()
    chosen = Dataset.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, f"/prompts/{prompt.pk}/?dataset={chosen.pk}&row=2")
    assert version.prompt_settings == PromptSettings(
        system="Answer in JSON.",
        user_template="Ticket: {input}",
        examples=(WrittenExample(user="a\nb", assistant="B"),),
    )
    assert "Saved as version 1." in client.get(answer["Location"]).content.decode()


def test_the_preview_alone_answers_htmx(post: Callable[..., str]) -> None:
    part = post("preview", htmx=True, row="2", example_user=["hi"], example_assistant=["HI"])
    assert part.lstrip().startswith('<section class="card" id="preview"')
    assert "Ticket: the roof leaks" in part
    assert "Ticket: hi" in part
    assert "Answer in JSON." in part
    assert "own system message" not in part


def test_the_preview_is_there_without_javascript_too(post: Callable[..., str]) -> None:
    page = post("preview")
    assert page.startswith("<!doctype html>")
    assert "Ticket: the door is stuck" in page
    assert PromptVersion.objects.count() == 0


@pytest.mark.parametrize(("asked", "shown"), [("row-2", "2 of 2"), ("row-9", "2 of 2"), ("row-x", "1 of 2")])
def test_rows_are_leafed_through_within_the_split(post: Callable[..., str], asked: str, shown: str) -> None:
    assert f"Validation row {shown}" in post(asked, htmx=True)


def test_a_row_of_the_train_split_becomes_an_example(post: Callable[..., str]) -> None:
    page = post("take-2")
    assert '<textarea id="example-1-user" name="example_user" rows="3" maxlength="20000">the &lt;b&gt;lift' in page
    assert "THE &lt;B&gt;LIFT&lt;/B&gt; WAITS</textarea>" in page
    assert 'id="example-1-user"' not in post("take-9")


def test_train_rows_are_searched(post: Callable[..., str]) -> None:
    page = post("search", q="coffee")
    assert "Take row 3" in page
    assert "Take row 1" not in page
    assert "No train row says that." in post("search", q="the locked question")


def test_examples_are_added_and_removed(post: Callable[..., str]) -> None:
    two = {"example_user": ["a", "b"], "example_assistant": ["A", "B"]}
    assert 'id="example-3-user"' in post("add", **two)
    page = post("remove-1", **two)
    assert ">b</textarea>" in page
    assert 'id="example-2-user"' not in page


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"user_template": "Ticket:"}, "the template must hold {input}"),
        ({"user_template": ""}, "This field is required."),
        ({"no_system": "on"}, "Either write a system message or ask without one"),
        ({"example_user": ["a"], "example_assistant": [" "]}, "Example 1 lacks the answer"),
        ({"example_user": [""], "example_assistant": ["A"]}, "Example 1 lacks what the user says"),
        ({"example_user": ["a" * 20_001], "example_assistant": ["A"]}, "Example 1: String should have at most 20000"),
        ({"system": "x" * 20_001}, "at most 20000 characters"),
        ({"note": "x" * 501}, "at most 500 characters"),
    ],
)
def test_what_cannot_be_saved_says_why(post: Callable[..., str], changed: dict[str, object], said: str) -> None:
    assert said in post("save", 422, **changed)
    assert PromptVersion.objects.count() == 0


def test_an_unfinished_prompt_shows_what_is_missing_in_place_of_the_preview(post: Callable[..., str]) -> None:
    part = post("preview", htmx=True, user_template="Ticket:")
    assert "The prompt cannot be shown as it stands" in part
    assert "the template must hold {input}" in part


def test_the_same_words_again_are_refused(post: Callable[..., str], prompt: Prompt) -> None:
    post("save", 302)
    assert "This is version 1, word for word" in post("save", 409)
    assert prompt.versions.count() == 1


def test_no_system_message_at_all_is_saved_as_such(post: Callable[..., str], client: Client, url: str) -> None:
    post("save", 302, system="", no_system="on")
    assert PromptVersion.objects.get().prompt_settings.system == ""
    page = client.get(url).content.decode()
    assert '<input type="checkbox" name="no_system" id="id_no_system" checked>' in page
    assert '<span class="eyebrow">system</span>' not in page
    post("save", 302, system="")
    assert PromptVersion.objects.first().prompt_settings.system is None  # type: ignore[union-attr]


def test_an_earlier_version_is_where_one_starts_from(client: Client, post: Callable[..., str], url: str) -> None:
    post("save", 302)
    post("save", 302, system="Something else.")
    assert "Answer in JSON.</textarea>" in client.get(f"{url}?version=1").content.decode()
    assert "Something else.</textarea>" in client.get(url).content.decode()
    assert client.get(f"{url}?version=3").status_code == 404


def test_a_use_case_without_any_dataset_says_what_to_do(client: Client, prompt: Prompt, alice: User) -> None:
    client.force_login(alice)
    page = client.get(prompt.get_absolute_url()).content.decode()
    assert f'<a href="/datasets/new/{prompt.use_case.slug}/">Upload one</a>' in page
    assert "Nothing measured yet." in page


def test_a_viewer_reads_and_may_not_write(
    client: Client, url: str, mallory: User, use_case: UseCase, alice: User
) -> None:
    add_member(use_case, user=mallory, role=Role.VIEWER, actor=alice)
    client.force_login(mallory)
    page = client.get(url).content.decode()
    assert "You may read this prompt." in page
    assert '<form id="workbench"' not in page
    assert client.post(url, {**WRITTEN, "do": "save"}).status_code == 403
    assert client.post(f"/prompts/new/{use_case.slug}/", {"name": "x"}).status_code == 403
    assert PromptVersion.objects.count() == 0


def test_strangers_find_nothing(client: Client, url: str, mallory: User, use_case: UseCase, prompt: Prompt) -> None:
    client.force_login(mallory)
    assert client.get(url).status_code == 404
    assert client.post(url, {**WRITTEN, "do": "save"}).status_code == 404
    assert client.get(f"{url}versions/1/").status_code == 404
    assert client.get(f"/prompts/new/{use_case.slug}/").status_code == 404
    assert prompt.name not in client.get("/prompts/").content.decode()


def test_other_methods_are_refused(client: Client, url: str, alice: User, use_case: UseCase) -> None:
    client.force_login(alice)
    assert client.delete(url).status_code == 405
    assert client.post("/prompts/").status_code == 405
    assert client.delete(f"/prompts/new/{use_case.slug}/").status_code == 405


def test_a_prompt_is_created_and_opens_its_workbench(client: Client, alice: User, use_case: UseCase) -> None:
    client.force_login(alice)
    new = f"/prompts/new/{use_case.slug}/"
    answer = client.post(new, {"name": "Ticket to four fields"})
    prompt = Prompt.objects.get()
    assert (answer.status_code, answer["Location"]) == (302, f"/prompts/{prompt.pk}/")
    again = client.post(new, {"name": "Ticket to four fields"})
    assert (again.status_code, Prompt.objects.count()) == (422, 1)
    assert "already; open it" in again.content.decode()
    assert client.post(new, {"name": ""}).status_code == 422


def test_the_list_asks_as_often_for_three_prompts_as_for_one(
    client: Client, alice: User, use_case: UseCase, prompt: Prompt, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    client.force_login(alice)
    save_version(prompt, settings=PromptSettings(), note="", author=alice)
    client.get("/prompts/")
    with django_assert_num_queries(4) as first:
        client.get("/prompts/")
    for name in ("b", "c"):
        made = create_prompt(use_case=use_case, name=name, created_by=alice)
        save_version(made, settings=PromptSettings(), note="", author=alice)
    with django_assert_num_queries(len(first)) as _:
        answer = client.get("/prompts/")
    assertTemplateUsed(answer, "prompts/prompt_list.html")


def test_the_workbench_asks_as_often_for_three_versions_as_for_one(
    client: Client, alice: User, url: str, prompt: Prompt, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    client.force_login(alice)
    save_version(prompt, settings=PromptSettings(), note="", author=alice)
    client.get(url)
    with django_assert_num_queries(13) as first:
        client.get(url)
    for text in ("b", "c"):
        save_version(prompt, settings=PromptSettings(system=text), note="", author=alice)
    with django_assert_num_queries(len(first)):
        client.get(url)
