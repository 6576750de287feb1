"""The bundle of a decision, checked by its own verifier in a bare Python: as exported, and forged in many ways."""

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from django.test import Client

from playbook.contracts.roles import Role
from playbook.contracts.run_spec import Arm
from playbook.web.accounts.models import User
from playbook.web.common.models import AuditEntry
from playbook.web.decisions import verify_bundle
from playbook.web.decisions.criterion import ARM_NAMES, METRIC_NAMES, two_places
from playbook.web.decisions.models import Decision
from playbook.web.decisions.verify_bundle import canonical
from tests.web.decisions.conftest import edit, sign

Files = dict[str, bytes]


@pytest.fixture
def files(client: Client, proposal: Decision, alice: User, bob: User, charlie: User) -> Files:
    """Bob signed, Alice changed the decision, both signed again: three signatures, one of them void."""
    sign(proposal, bob, Role.ML_LEAD)
    edit(proposal, alice, criterion_threshold=Decimal("0.75"), title="Tickets <b>“é”</b> 😀")
    sign(proposal, bob, Role.ML_LEAD)
    sign(proposal, charlie, Role.PRODUCT_OWNER)
    client.force_login(alice)
    answer = client.get("/decisions/1.zip")
    assert answer.headers["Content-Disposition"] == 'attachment; filename="D-1.zip"'
    with zipfile.ZipFile(io.BytesIO(answer.content)) as bundle:
        return {name: bundle.read(name) for name in bundle.namelist()}


def verified(files: Files, folder: Path, *arguments: str) -> tuple[int, list[str]]:
    """Write the bundle, and run the verifier that it holds: isolated, without any installed package."""
    path, script = folder / "D-1.zip", folder / "verify_bundle.py"
    with zipfile.ZipFile(path, "w") as bundle:
        for name, content in files.items():
            bundle.writestr(name, content)
    script.write_bytes(files["verify_bundle.py"])
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(script), str(path), *arguments], capture_output=True, text=True, cwd=folder
    )
    assert done.stderr == ""
    return done.returncode, done.stdout.splitlines()


def with_sums(files: Files) -> Files:
    """Write SHA256SUMS anew, as a careful forger would."""
    named = {name: content for name, content in files.items() if name != "SHA256SUMS"}
    sums = "".join(f"{sha256(content).hexdigest()}  {name}\n" for name, content in named.items())
    return {**named, "SHA256SUMS": sums.encode()}


def changed(files: Files, name: str, change: Callable[[Any], object]) -> Files:
    value = json.loads(files[name])
    change(value)
    return with_sums({**files, name: json.dumps(value).encode()})


def test_a_bundle_as_exported_is_verified(files: Files, tmp_path: Path) -> None:
    code, said = verified(files, tmp_path)
    assert (code, len(said)) == (0, 5)
    assert said[0].endswith("D-1.zip: verified")
    digest = json.loads(files["decision.json"])["digest"]
    assert said[1].startswith(
        f"Signed as it reads, by Bob Okafor (approve) and Charlie Lindqvist (approve), sha256 {digest}: title, context"
    )
    assert said[3].startswith(
        "Vouched for by nothing but SHA256SUMS: the full names of use case, owner, decision-maker"
    )
    head = json.loads(files["audit.json"])["head"]
    assert said[4].endswith(f"manage.py verify_audit --contains {head}")
    readme = files["README.txt"].decode()
    assert f"The signatures cover {verify_bundle.SIGNED}." in readme
    assert f"Nothing but SHA256SUMS vouches for {verify_bundle.UNSIGNED}." in readme
    states = [(row["state"], row["statement"]["printed_name"]) for row in json.loads(files["signatures.json"])]
    assert states == [("current", "Bob Okafor"), ("current", "Charlie Lindqvist"), ("void", "Bob Okafor")]
    assert json.loads(files["decision.json"])["status"] == "accepted"
    assert files["decision.md"].decode().startswith("---\nstatus: accepted\n")


def test_a_head_that_was_kept_elsewhere_is_compared(files: Files, tmp_path: Path) -> None:
    entry = AuditEntry.objects.get(action="accepted")
    assert verified(files, tmp_path, "--anchor", f"{entry.number}:{entry.hash}")[0] == 0
    code, said = verified(files, tmp_path, "--anchor", f"{entry.number}:{'0' * 64}")
    assert (code, said) == (1, [f"Entry {entry.number} has another hash than the anchor: the log was rewritten."])


def test_a_file_changed_added_or_removed_is_named(files: Files, tmp_path: Path) -> None:
    edited = {**files, "decision.md": files["decision.md"] + b"x", "extra.txt": b""}
    del edited["README.txt"]
    last = len(files["decision.md"].decode().split("\n"))
    assert verified(edited, tmp_path) == (
        1,
        [
            "extra.txt is not listed in SHA256SUMS.",
            "README.txt is listed in SHA256SUMS and missing.",
            "decision.md was changed: its SHA-256 is not the listed one.",
            f"decision.md was altered: line {last} says “x”, and the JSON files “”.",
        ],
    )


def _rename(rows: list[dict[str, Any]]) -> None:
    rows[0]["statement"]["printed_name"] = "Mallory Stone"


def _revive(rows: list[dict[str, Any]]) -> None:
    rows[2]["state"] = "current"


def _drop(rows: list[Any]) -> None:
    del rows[1]


def _cover_other(rows: list[dict[str, Any]]) -> None:
    rows[0]["covered"]["criterion"]["threshold"] = "0.1000"


def _cover_anew(value: dict[str, Any]) -> None:
    value["covered"]["decision"]["consequences"] = "None at all."
    value["digest"] = sha256(rfc8785.dumps(value["covered"])).hexdigest()


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("signatures.json", _rename, "was altered: it is not what the audit entry recorded."),
        ("signatures.json", _revive, "is said to be current, which its digest denies."),
        ("signatures.json", _drop, "was given, as the audit log says, and is missing."),
        ("signatures.json", _cover_other, "was altered: the document that it covers does not give its digest."),
        (
            "decision.json",
            lambda value: value["covered"]["decision"].update(title="Other"),
            "decision.json was altered: the decision does not give its digest.",
        ),
        (
            "audit.json",
            lambda value: value["entries"][3].update(at="2020-01-01T00:00:00.000000Z"),
            "was altered: its content does not give its hash.",
        ),
        (
            "audit.json",
            lambda value: value["entries"].__setitem__(slice(3, 5), value["entries"][4:2:-1]),
            "stands out of order, after entry",
        ),
        ("audit.json", lambda value: value.pop("entries"), "'entries' is missing."),
        ("decision.json", lambda value: value.update(covered=[1.5]), "decision.json was altered"),
        ("audit.json", lambda value: value.update(entries=5), "A file of the bundle cannot be read:"),
        ("decision.json", lambda value: value.update(status="rejected"), "its audit entries that it is accepted."),
        ("decision.json", lambda value: value.update(decided_at="2020-01-01T00:00:00.000000Z"), "decided_at is not"),
        ("decision.json", lambda value: value.update(decided_at=None), "decided_at is not what the audit log"),
        (
            "decision.json",
            lambda value: value.update(criterion_locked_at=value["decided_at"]),
            "criterion_locked_at is not",
        ),
        ("decision.json", lambda value: value.update(superseded_by=7), "superseded by 7, its audit entries by None."),
        ("decision.json", lambda value: value.update(test_set="a" * 64), "test_set is not what was fixed."),
        ("decision.json", lambda value: value.update(number=2), "it holds the document of another decision."),
        ("decision.json", _cover_anew, "The decision is not what its newest audit entry recorded."),
        (
            "signatures.json",
            lambda value: value[0].update(on_behalf_of="Eve"),
            "is said to be given for Eve, and its audit entry says None.",
        ),
        (
            "signatures.json",
            lambda value: value[0].update(state="lapsed"),
            ") COUNTS NO MORE: the role was taken away",
        ),
        ("signatures.json", lambda value: value[0].update(state="new"), "is said to be new, which its digest denies."),
        (
            "decision.json",
            lambda value: value.update(created_at=value["decided_at"][:3] + "0" + value["decided_at"][4:]),
            "created_at is not what the audit log recorded.",
        ),
        (
            "decision.json",
            lambda value: value.update(proposed_at=None),
            "proposed_at is not what the audit log recorded.",
        ),
        (
            "checklist.json",
            lambda value: value["outcomes"][0].update(title="Other"),
            "checklist.json was altered: it is not the version that the decision names.",
        ),
        (
            "audit.json",
            lambda value: value.update(entries=value["entries"][:-2]),
            "its audit entries that it is proposed.",
        ),
        ("decision.json", lambda value: value.update(approved_by="the board"), "A field 'approved_by' was added to"),
        ("decision.json", lambda value: value["names"].update(board="Eve"), "A field 'board' was added to names"),
        ("signatures.json", lambda value: value[1].update(note="x"), "A field 'note' was added to signatures.json"),
        ("audit.json", lambda value: value["entries"][2].update(note="x"), "A field 'note' was added to entries"),
        ("audit.json", lambda value: value.update(head=f"1:{'0' * 64}"), "The head of the audit log is not at or"),
    ],
)
def test_a_forgery_with_fitting_sums_is_named(
    files: Files, tmp_path: Path, name: str, change: Callable[[Any], object], said: str
) -> None:
    code, problems = verified(changed(files, name, change), tmp_path)
    assert code == 1
    assert any(said in problem for problem in problems), problems


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (
            "status: accepted",
            "status: rejected",
            "line 2 says “status: rejected”, and the JSON files “status: accepted”",
        ),
        ("“é”", "“e”", "says “# D-1: Tickets &lt;b>“e”&lt;/b> 😀”, and the JSON files “# D-1: Tickets &lt;b>“é”"),
        ("test set ≥ 0.75.", "test set ≥ 0.7.", "of LoRA on the test set ≥ 0.7.”, and the JSON files “"),
        (
            "* Charlie Lindqvist, Product owner",
            "* Mallory Stone, Product owner",
            "says “* Mallory Stone, Product owner",
        ),
        ("I approve this decision as ML lead", "I read this as ML lead", "“I read this as ML lead"),
        (" VOID: the decision changed afterwards.", "", ")”, and the JSON files “"),
        (
            "### Signatures\n\n",
            "### Signatures\n\n* Eve, ML lead\n",
            "says “* Eve, ML lead”, and the JSON files “* Bob",
        ),
        (
            "## Decision Outcome\n",
            "All of the above is settled.\n\n## Decision Outcome\n",
            "says “All of the above is settl",
        ),
        (
            "(alice)",
            "(mallory)",
            "says “* Owner: Alice Moreau (mallory)”, and the JSON files “* Owner: Alice Moreau (alice)",
        ),
        (
            "### Confirmation\n",
            "### Confirmation \n",
            "says “### Confirmation ”, and the JSON files “### Confirmation”",
        ),
    ],
)
def test_a_forged_markdown_with_fitting_sums_is_named(
    files: Files, tmp_path: Path, before: str, after: str, said: str
) -> None:
    text = files["decision.md"].decode()
    assert before in text
    forged = with_sums({**files, "decision.md": text.replace(before, after).encode()})
    code, problems = verified(forged, tmp_path)
    assert (code, len(problems)) == (1, 1)
    assert problems[0].startswith("decision.md was altered: line ")
    assert said in problems[0]


@pytest.mark.parametrize(
    "added", ["One word more.", "\n* Eve, ML lead, 2026-01-01 00:00:00 UTC: “I approve”\n", "\n", " "]
)
def test_words_added_to_the_markdown_are_named(files: Files, tmp_path: Path, added: str) -> None:
    code, problems = verified(with_sums({**files, "decision.md": files["decision.md"] + added.encode()}), tmp_path)
    assert (code, len(problems)) == (1, 1)
    assert problems[0].startswith("decision.md was altered: line ")


def test_what_no_signature_covers_is_said_and_cannot_grow_lines(files: Files, tmp_path: Path) -> None:
    """The full names are not signed: forged together with the Markdown they pass, one line each, and it says so."""
    decision = json.loads(files["decision.json"])
    decision["names"]["owner"] = "Mallory Stone\n* Budget: all of it"
    text = files["decision.md"].decode().replace("Owner: Alice Moreau", "Owner: Mallory Stone * Budget: all of it")
    forged = with_sums({**files, "decision.json": json.dumps(decision).encode(), "decision.md": text.encode()})
    code, said = verified(forged, tmp_path)
    assert (code, said[0].rpartition(": ")[2]) == (0, "verified")
    assert "the full names of use case, owner, decision-maker, the actors in audit.json" in said[3]
    assert "\n* Owner: Mallory Stone * Budget: all of it (alice)\n" in text
    decision["supersedes"] = ["1\nstatus: draft"]
    forged = with_sums({**files, "decision.json": json.dumps(decision).encode()})
    code, said = verified(forged, tmp_path)
    assert (code, said[-1].partition(":")[0]) == (1, "A file of the bundle cannot be read")


@pytest.mark.parametrize(("part", "left"), [("signatures.json", "checklist.json"), ("checklist.json", "decision.md")])
def test_a_bundle_without_a_part_is_named(files: Files, tmp_path: Path, part: str, left: str) -> None:
    whole = with_sums({name: content for name, content in files.items() if name != part})
    assert left in whole
    assert verified(whole, tmp_path) == (1, [f"'{part}' is missing."])


def test_the_verifier_knows_every_name_of_arms_metrics_and_roles(files: Files) -> None:
    """It has no dependency on the site, so it has them written down."""
    assert {arm: ARM_NAMES[arm] for arm in Arm} == verify_bundle.ARM_NAMES
    for metric, name in METRIC_NAMES.items():
        assert verify_bundle._metric(metric) == name
    for share in ("0.8000", "0.8250", "1.0000", "0.0000", "0.0001"):
        assert verify_bundle._places(share) == two_places(Decimal(share))
    row = json.loads(files["signatures.json"])[0]
    for role in Role:
        row["statement"]["role"] = role.value
        assert verify_bundle._signature(row).startswith(f"* Bob Okafor, {role.label}, ")


def test_a_name_that_stands_twice_and_nesting_without_end_are_named(files: Files, tmp_path: Path) -> None:
    twice = files["decision.json"].replace(b"{", b'{"status": "draft", ', 1)
    for content, said in ((twice, "a name stands twice"), (b"[" * 200_000, "cannot be read")):
        code, problems = verified(with_sums({**files, "decision.json": content}), tmp_path)
        assert code == 1
        assert said in problems[-1]


def test_what_is_no_bundle_is_refused_in_one_sentence(files: Files, tmp_path: Path) -> None:
    script = tmp_path / "verify_bundle.py"
    script.write_bytes(files["verify_bundle.py"])
    (tmp_path / "x.zip").write_bytes(b"no zip")
    done = subprocess.run(
        [sys.executable, "-I", "-S", str(script), str(tmp_path / "x.zip")], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (1, "")
    assert "x.zip is no bundle: File is not a zip file" in done.stdout


def test_a_bundle_with_a_flipped_bit_is_named_or_refused_in_one_sentence(files: Files, tmp_path: Path) -> None:
    path = tmp_path / "D-1.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, content in files.items():
            bundle.writestr(name, content)
    whole = path.read_bytes()
    assert list(verify_bundle.problems_of(verify_bundle.read_bundle(path))) == []
    for place in range(0, len(whole), 61):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        try:
            said = list(verify_bundle.problems_of(verify_bundle.read_bundle(path)))
        except ValueError as error:
            said = [str(error)]
        # The bytes of a zip that nothing reads, such as the hour of a file, are all that may differ in silence.
        assert said or verify_bundle.read_bundle(path) == files, place


def test_the_verifier_writes_the_same_canonical_json() -> None:
    odd: dict[str, Any] = {"é": 1, "😀": [True, None, 'a\x00\n"\\'], "z": {"b": -5, "a": ""}, "\ufb33": 2, "": []}
    assert canonical(odd).encode() == rfc8785.dumps(odd)
    numbers = [0.95, 1.0, -0.0, 0.1 + 0.2, 1e-5, 1.5e-6, 1e-7, 2.5e-9, 1e20, 123456789.125, 1e21, 3.14e22, -0.5]
    numbers += [float(2**68), -5.5733433563767654e18, 9007199254740994.0, 5e-324, 1.7976931348623157e308, 100.0]
    assert canonical(numbers).encode() == rfc8785.dumps(numbers)


def test_a_stranger_gets_no_bundle(client: Client, proposal: Decision, mallory: User) -> None:
    client.force_login(mallory)
    assert client.get("/decisions/1.zip").status_code == 404
