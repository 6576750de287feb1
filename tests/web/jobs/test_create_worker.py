"""`manage.py create_worker`: a token once, or a file that its owner alone reads."""

from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from playbook.web.jobs.models import Worker
from playbook.web.jobs.tokens import digest


def test_prints_the_token_and_keeps_only_its_digest(db: None) -> None:
    out = StringIO()
    call_command("create_worker", "gpu-1", stdout=out)
    token = out.getvalue().strip()
    assert token.startswith("pbw_")
    assert list(Worker.objects.values_list("name", "token_hash")) == [("gpu-1", digest(token))]


def test_token_file_is_private_and_replaced_on_rotation(db: None, tmp_path: Path) -> None:
    file = tmp_path / "token"
    tokens = []
    for _ in range(2):
        out = StringIO()
        call_command("create_worker", "gpu-1", "--token-file", str(file), stdout=out)
        tokens.append(file.read_text().strip())
        assert out.getvalue() == f"Worker gpu-1: token written to {file}\n"
        assert file.stat().st_mode & 0o777 == 0o600
    assert tokens[0] != tokens[1]
    assert list(Worker.objects.values_list("token_hash", flat=True)) == [digest(tokens[1])]
    assert list(tmp_path.glob(".*")) == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([" "], r"the name ' ' must be 1 to 100 printable characters"),
        (["x" * 101], r"must be 1 to 100 printable"),
        (["gpu-1", "--token-file", "/nowhere/token"], r"the folder /nowhere does not exist; create it"),
    ],
)
def test_refuses_what_cannot_work(db: None, arguments: list[str], said: str) -> None:
    with pytest.raises(CommandError, match=said):
        call_command("create_worker", *arguments)
    assert Worker.objects.count() == 0
