"""A job, a worker, and the protocol spoken through Django's test client."""

from typing import Any

import pytest
from django.test import Client

from playbook.contracts.protocol import PROTOCOL_VERSION, ClaimResponse
from playbook.web.accounts.models import User
from playbook.web.jobs.actions import create_worker
from playbook.web.jobs.models import Job, Worker
from playbook.web.usecases.models import UseCase
from tests.web.jobs.factories import make_capabilities, make_job

API = "/api/worker/v1"


class Caller:
    """The HTTP side of a worker: it adds tokens and JSON, and returns Django's responses as they are."""

    def __init__(self, client: Client, worker: Worker, token: str) -> None:
        self.client = client
        self.worker = worker
        self.token = token

    def claim(self, *base_models: str, protocol_version: int = PROTOCOL_VERSION, token: str | None = None) -> Any:
        capabilities = make_capabilities(*base_models).model_dump(mode="json")
        body = {"protocol_version": protocol_version, "capabilities": capabilities}
        return self.post("/claim", body, token=token or self.token)

    def claimed(self) -> ClaimResponse:
        response = self.claim()
        assert response.status_code == 200, response.content
        return ClaimResponse.model_validate_json(response.content)

    def post(self, path: str, body: dict[str, Any], *, token: str) -> Any:
        headers = {"Authorization": f"Bearer {token}"}
        return self.client.post(API + path, body, content_type="application/json", headers=headers)

    def get(self, path: str, *, token: str) -> Any:
        return self.client.get(API + path, headers={"Authorization": f"Bearer {token}"})

    def send(self, method: str, path: str, data: bytes, *, token: str) -> Any:
        return self.client.generic(
            method, API + path, data, "application/octet-stream", headers={"Authorization": f"Bearer {token}"}
        )

    def events(self, claim: ClaimResponse, data: bytes, *, offset: int = 0) -> Any:
        path = f"/jobs/{claim.job_id}/events?attempt={claim.attempt}&offset={offset}"
        return self.send("POST", path, data, token=claim.job_token)

    def upload(self, claim: ClaimResponse, name: str, data: bytes, *, sha256: str) -> Any:
        path = f"/jobs/{claim.job_id}/artifacts/{name}"
        put = self.send("PUT", f"{path}?attempt={claim.attempt}&offset=0", data, token=claim.job_token)
        assert put.json() == {"offset": len(data)}
        body = {"attempt": claim.attempt, "sha256": sha256, "size_bytes": len(data)}
        return self.post(f"{path}/complete", body, token=claim.job_token)

    def finish(self, claim: ClaimResponse, state: str, reason: str, message: str = "") -> Any:
        body = {"attempt": claim.attempt, "state": state, "reason": reason, "message": message}
        return self.post(f"/jobs/{claim.job_id}/finish", body, token=claim.job_token)


@pytest.fixture
def job(use_case: UseCase, alice: User) -> Job:
    return make_job(use_case, alice)


@pytest.fixture
def caller(client: Client, db: None) -> Caller:
    return Caller(client, *create_worker(name="gpu-1", created_by=None))
