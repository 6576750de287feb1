"""What waits for somebody's signature, on Home and above the log."""

from django.test import Client

from playbook.web.accounts.models import User
from playbook.web.decisions.signing import LISTED
from playbook.web.usecases.models import UseCase
from tests.web import decided


def test_a_full_inbox_says_that_more_may_wait(client: Client, use_case: UseCase, alice: User, bob: User) -> None:
    more = "When they are signed, the next ones stand here."
    decided.proposed(use_case, alice)
    client.force_login(bob)
    assert more not in client.get("/").content.decode()
    for _ in range(LISTED):
        decided.proposed(use_case, alice)
    for path in ("/", "/decisions/"):
        page = client.get(path).content.decode()
        assert page.count("Read and sign</a>") == LISTED
        assert more in page
    assert "Read and sign</a>" not in client.get("/decisions/?q=tune").content.decode()
