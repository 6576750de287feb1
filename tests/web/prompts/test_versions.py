"""Versions of prompts: appended, named by their content, never edited; and what two of them differ in."""

import doctest

import pytest
from django.db import IntegrityError, transaction
from django.test import Client

from playbook.contracts.prompting import PromptSettings, WrittenExample
from playbook.web.accounts.models import User
from playbook.web.common.models import AuditEntry
from playbook.web.common.permissions import Conflict
from playbook.web.prompts import preview
from playbook.web.prompts.actions import create_prompt, save_version
from playbook.web.prompts.differences import Difference, Part, differences
from playbook.web.prompts.models import Prompt, PromptVersion
from playbook.web.usecases.models import UseCase

FIRST = PromptSettings(system="Answer in JSON.")
SECOND = PromptSettings(
    system="Answer in one line of JSON.", examples=(WrittenExample(user="the printer burns", assistant="{}"),)
)


def test_the_examples_in_the_modules_hold() -> None:
    assert doctest.testmod(preview).failed == 0


def test_a_version_is_appended_with_its_digest_author_and_note(prompt: Prompt, alice: User, bob: User) -> None:
    save_version(prompt, settings=FIRST, note="short", author=alice)
    save_version(prompt, settings=SECOND, note="", author=bob)
    found = PromptVersion.objects.values_list("number", "digest", "note", "created_by__username")
    assert list(found) == [(2, SECOND.digest, "", "bob"), (1, FIRST.digest, "short", "alice")]
    assert [version.prompt_settings for version in prompt.versions.all()] == [SECOND, FIRST]
    entry = AuditEntry.objects.first()
    assert entry is not None
    assert (entry.action, entry.actor, entry.detail) == ("added version", bob, {"number": 2, "digest": SECOND.digest})


def test_the_same_words_again_are_the_version_that_is_there(prompt: Prompt, alice: User) -> None:
    save_version(prompt, settings=FIRST, note="", author=alice)
    save_version(prompt, settings=SECOND, note="", author=alice)
    with pytest.raises(Conflict, match="This is version 1, word for word"):
        save_version(prompt, settings=FIRST, note="again", author=alice)
    assert prompt.versions.count() == 2


@pytest.mark.django_db(transaction=True)
def test_the_database_refuses_to_change_or_remove_a_version(prompt: Prompt, alice: User) -> None:
    version = save_version(prompt, settings=FIRST, note="", author=alice)
    with pytest.raises(IntegrityError, match="appended, never changed"), transaction.atomic():
        PromptVersion.objects.filter(pk=version.pk).update(note="better")
    with pytest.raises(IntegrityError, match="appended, never deleted"), transaction.atomic():
        version.delete()


def test_a_name_is_taken_once_in_a_use_case(prompt: Prompt, use_case: UseCase, alice: User) -> None:
    with pytest.raises(Conflict, match="has a prompt called “Ticket to four fields” already"):
        create_prompt(use_case=use_case, name=prompt.name, created_by=alice)


def test_differences_are_shown_word_by_word() -> None:
    assert differences(FIRST, SECOND) == [
        Difference(
            "System message",
            (
                Part("same", "Answer in "),
                Part("added", "one line of "),
                Part("same", "JSON."),
            ),
        ),
        Difference("Example 1, user", (Part("added", "the printer burns"),)),
        Difference("Example 1, answer", (Part("added", "{}"),)),
    ]
    assert differences(SECOND, SECOND) == []


def test_rows_own_system_message_and_none_at_all_are_two_things() -> None:
    (found,) = differences(PromptSettings(), PromptSettings(system=""))
    assert found.parts == (Part("removed", "(each row’s own)"), Part("added", "(none)"))


def test_long_texts_are_compared_line_by_line() -> None:
    before = "".join(f"l {number}\n" for number in range(2000))
    after = before.replace("l 1500\n", "another line\n")
    (found,) = differences(PromptSettings(system=before), PromptSettings(system=after))
    assert [part.kind for part in found.parts] == ["same", "removed", "added", "same"]
    assert [part.text for part in found.parts[1:3]] == ["l 1500\n", "another line\n"]


def test_the_page_of_a_version_shows_what_it_changed(client: Client, prompt: Prompt, bob: User) -> None:
    save_version(prompt, settings=FIRST, note="short", author=bob)
    save_version(prompt, settings=SECOND, note="with an example", author=bob)
    client.force_login(bob)
    page = client.get(f"/prompts/{prompt.pk}/versions/2/").content.decode()
    assert "<ins>one line of </ins>" in page
    assert SECOND.digest in page
    assert "with an example" in page
    first = client.get(f"/prompts/{prompt.pk}/versions/1/").content.decode()
    assert "The first version has none before it" in first
    back = client.get(f"/prompts/{prompt.pk}/versions/1/?against=2").content.decode()
    assert "<del>one line of </del>" in back


def test_a_version_that_is_not_there_is_not_found(client: Client, prompt: Prompt, bob: User) -> None:
    client.force_login(bob)
    assert client.get(f"/prompts/{prompt.pk}/versions/7/").status_code == 404
    save_version(prompt, settings=FIRST, note="", author=bob)
    assert client.get(f"/prompts/{prompt.pk}/versions/1/?against=7").status_code == 404
    assert client.post(f"/prompts/{prompt.pk}/versions/1/").status_code == 405
