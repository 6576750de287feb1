"""Fields chosen by hand: any of a wide file, as the file names it, and without losing what the format reads beside."""

import io
import json
import re

import pyarrow as pa
import pyarrow.parquet as pq
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from playbook.contracts.dataset import Split
from playbook.datasets.spec import Format, Mapping, Order, Source
from playbook.web.accounts.models import User
from playbook.web.datasets.models import DatasetImport, DatasetVersion
from playbook.web.usecases.models import UseCase
from tests.web.datasets.conftest import CARD, bring, one_file
from tests.web.datasets.test_imports import change, page_of, store

WIDE = 300


def wide(names: list[str], rows: int = 30) -> bytes:
    lines = [",".join(f'"{name}"' for name in names)]
    lines += [",".join(f"{name[:20]} {row}".replace("\n", " ") for name in names) for row in range(rows)]
    return "\n".join(lines).encode()


def test_any_field_of_a_wide_file_can_be_chosen(client: Client, use_case: UseCase, alice: User) -> None:
    client.force_login(alice)
    names = [f"q{n}" for n in range(WIDE)]
    made = bring(client, one_file(wide(names), name="rows.csv"))
    page = page_of(client, made)
    assert "300 fields to choose from: type a few letters of one." in page
    assert all(f'<option value="q{n}"></option>' in page for n in range(WIDE))
    wrong = {"what": "mapping", "prompt": "q120", "answer": "q301"}
    answer = client.post(f"/datasets/imports/{made.pk}/change/", wrong)
    assert answer.status_code == 422
    assert "No row has a field “q301”; write it as the file does." in answer.content.decode()
    page = change(client, made, what="mapping", prompt="q120", answer="q299")
    assert "Store the dataset" in page
    page = change(client, made, what="plan", validation_percent="10", test_percent="10", group_field="q250", seed="0")
    version = store(client, made).versions.get()
    assert "rows with the same “q250” kept together." in version.made_from


def test_a_question_of_many_words_can_be_the_field_that_rows_are_kept_together_by(
    client: Client, use_case: UseCase, alice: User
) -> None:
    """The sentence on the split stands in a column that PostgreSQL does not let grow."""
    client.force_login(alice)
    question = "Which of our shops did you visit last? " * 20
    rows = "".join(json.dumps({"prompt": f"p{n}", "completion": f"c{n}", question: n % 9}) + "\n" for n in range(30))
    made = bring(client, one_file(rows.encode()))
    change(client, made, what="plan", validation_percent="10", test_percent="10", group_field=question, seed="0")
    version = store(client, made).versions.get()
    assert version.made_from.startswith("One file of 30 rows, 10 % for validation and 10 % for test, split by seed 0")
    DatasetVersion._meta.get_field("made_from").run_validators(version.made_from)


def test_a_new_version_that_lacks_the_field_can_be_split_otherwise(
    client: Client, use_case: UseCase, alice: User
) -> None:
    client.force_login(alice)
    rows = [{"prompt": f"question {n}", "completion": "yes", "team": f"team {n % 9}"} for n in range(30)]
    made = bring(client, one_file(b"".join(json.dumps(row).encode() + b"\n" for row in rows)))
    plan = {"what": "plan", "validation_percent": "20", "test_percent": "20", "group_field": "team", "seed": "5"}
    change(client, made, **plan)
    dataset = store(client, made)
    rows = [{"prompt": f"question {n}", "completion": "yes"} for n in range(30)]
    content = b"".join(json.dumps(row).encode() + b"\n" for row in rows)
    again = bring(client, one_file(content), url=f"/datasets/{dataset.pk}/versions/new/")
    refused = page_of(client, again)
    assert "in no row" in refused
    assert "Store as a new version" not in refused
    assert "Store as a new version" in change(client, again, **plan | {"group_field": ""})


def test_a_field_that_comes_late_can_be_chosen(client: Client, use_case: UseCase, alice: User) -> None:
    client.force_login(alice)
    rows: list[dict[str, str]] = [{"question": f"q{n}", "answer": f"a{n}"} for n in range(150)]
    rows[140]["rule"] = "Be brief."
    made = bring(client, one_file(b"".join(json.dumps(row).encode() + b"\n" for row in rows)))
    assert '<option value="rule">' in page_of(client, made)
    change(client, made, what="mapping", prompt="question", answer="answer", system="rule")
    address = store(client, made).get_absolute_url()
    pages = [client.get(address, {"q": "brief", "split": split}).content.decode() for split in Split]
    assert sum("Be brief." in page for page in pages) == 1


def test_questions_of_a_form_are_names(client: Client, use_case: UseCase, alice: User) -> None:
    """Long ones, which may begin alike, and with line ends, which a browser sends in its own way."""
    client.force_login(alice)
    long = ["Please say in your own words " + "very " * 50 + end for end in ("one", "two")]
    names = [*long, "What went\nwrong?"]
    made = bring(client, one_file(wide(names), name="rows.csv"))
    change(client, made, what="mapping", prompt="What went\r\nwrong?", answer=long[1])
    dataset = store(client, made)
    assert long[0] in client.get(dataset.get_absolute_url()).content.decode()
    assert dataset.versions.get().files.count() == 3


def test_what_was_recognised_and_is_sent_as_it_is_stays_recognised(
    client: Client, use_case: UseCase, alice: User
) -> None:
    client.force_login(alice)
    tools = [{"type": "function", "function": {"name": "look_up"}}]
    rows = [{"prompt": f"p{n}", "completion": f"c{n}", "tools": tools} for n in range(9)]
    made = bring(client, one_file(b"".join(json.dumps(row).encode() + b"\n" for row in rows)))
    page = change(client, made, what="mapping", prompt="prompt", answer="completion")
    assert "Prompt and completion (TRL)" in page
    assert "kept as metadata" not in page


def test_line_ends_within_pasted_cells_stay_as_they_were(client: Client, use_case: UseCase, alice: User) -> None:
    client.force_login(alice)
    pasted = "question,answer\r\n" + "".join(f'"one {n}\r\ntwo",a{n}\r\n' for n in range(5))
    dataset = store(client, bring(client, {**CARD, "how": "paste", "pasted": pasted}))
    page = client.get(dataset.get_absolute_url()).content.decode()
    assert "\ntwo" in page
    assert "\r" not in page


def of_three_kinds() -> dict[str, object]:
    """Return three files that differ in format, and in what their fields are called."""
    chat = [
        {"messages": [{"role": "user", "content": f"q{n}"}, {"role": "assistant", "content": f"a{n}"}]}
        for n in range(4)
    ]
    alpaca = pa.Table.from_pylist([{"instruction": f"do {n}", "input": "", "output": f"done {n}"} for n in range(3)])
    parquet = io.BytesIO()
    pq.write_table(alpaca, parquet)
    files = {
        "train": ("train.jsonl", b"".join(json.dumps(row).encode() + b"\n" for row in chat)),
        "validation": ("validation.parquet", parquet.getvalue()),
        "test": ("test.csv", b"frage,antwort\n" + b"".join(b"was %d?,das %d\n" % (n, n) for n in range(2))),
    }
    return {**CARD, "how": "three", **{split: SimpleUploadedFile(*file) for split, file in files.items()}}


def test_each_of_three_files_is_read_as_what_it_is(client: Client, use_case: UseCase, alice: User) -> None:
    """What is chosen by hand for one of them says nothing of the others."""
    client.force_login(alice)
    made = bring(client, of_three_kinds())
    page = page_of(client, made)
    assert "test.csv</strong>" in page
    assert "No known format has these fields." in page
    assert "The first row</summary>" in page
    assert "was 0?" in page
    # Open for the file that nothing is known of, which comes first.
    forms = re.findall(r'<details( open)?>\s*<summary><h2 id="fields-\d">Fields of (\S+)</h2>', page)
    assert forms == [(" open", "test.csv"), ("", "train.jsonl"), ("", "validation.parquet")]
    number = re.search(
        r'name="form" value="(\d)">\s*<details open>\s*<summary><h2 id="fields-\d">Fields of test.csv', page
    )
    assert number is not None
    page = change(client, made, what="mapping", form=number[1], prompt="frage", answer="antwort")
    formats = ("Chat messages (OpenAI)", "Alpaca (instruction, input, output)", "frage → antwort")
    assert all(found in page for found in formats)
    files = {file.split: file.rows for file in store(client, made).versions.get().files.all()}
    assert files == {"train": 4, "validation": 3, "test": 2}


def test_files_that_are_read_alike_share_one_form(client: Client, use_case: UseCase, alice: User) -> None:
    client.force_login(alice)
    rows = {split.value: wide(["frage", "antwort", split.value]) for split in Split}
    made = bring(
        client,
        {**CARD, "how": "three"}
        | {split: SimpleUploadedFile(f"{split}.csv", content) for split, content in rows.items()},
    )
    page = page_of(client, made)
    assert page.count("Read again") == 1
    assert "Fields</h2>" in page
    wrong = {"what": "mapping", "form": "0", "prompt": "train", "answer": "test"}
    refused = client.post(f"/datasets/imports/{made.pk}/change/", wrong)
    assert refused.status_code == 422
    assert "No file has all of these fields: train.csv has frage, antwort, train; " in refused.content.decode()
    change(client, made, what="mapping", form="0", prompt="frage", answer="antwort")
    mapped = [source.mapping for source in Order.model_validate(DatasetImport.objects.get().order).sources]
    assert mapped == [Mapping(format=Format.COLUMNS, prompt="frage", answer="antwort")] * 3


def test_an_import_that_was_begun_with_one_mapping_for_all_files_goes_on() -> None:
    mapping = Mapping(format=Format.COLUMNS, prompt="frage", answer="antwort")
    source = Source(name="rows.csv", path="/rows", sha256="0", size_bytes=1)
    before = Order(sources=(source,)).model_dump(mode="json") | {"mapping": mapping.model_dump(mode="json")}
    assert Order.model_validate(before).sources == (source.model_copy(update={"mapping": mapping}),)
    assert Order.model_validate(before | {"mapping": None}).sources == (source,)
