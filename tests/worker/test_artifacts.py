"""Packing, unpacking and fetching: the same bytes each time, and nothing that could harm."""

import zipfile
from pathlib import Path

import pytest

from playbook.contracts.protocol import InputLocation
from playbook.worker import artifacts
from playbook.worker.artifacts import NotPacked, WrongInput
from tests.web.jobs.factories import sha256
from tests.worker.test_retry import KEY, answering, never

DATA = b'{"messages": []}\n'


def test_pack_gives_the_same_bytes_for_the_same_files(tmp_path: Path) -> None:
    packed = []
    for name in ("a", "b"):
        folder = tmp_path / name
        (folder / "inner").mkdir(parents=True)
        (folder / "inner" / "state.json").write_text("{}")
        (folder / "weights.safetensors").write_bytes(b"weights")
        target = tmp_path / f"{name}.zip"
        artifacts.pack(folder, target, name="checkpoint.zip", prefix="step-000010")
        packed.append(target.read_bytes())
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        assert archive.namelist() == ["step-000010/inner/state.json", "step-000010/weights.safetensors"]
    assert packed[0] == packed[1]


@pytest.mark.parametrize("name", ["adapter_model.bin", "optimizer.pt", "rng_state.pth", "run.py", "LICENSE"])
def test_pack_refuses_what_could_run_code(tmp_path: Path, name: str) -> None:
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / name).write_bytes(b"x")
    with pytest.raises(NotPacked, match=f"{name} may not be handed over in adapter.zip; allowed are .jinja, .json"):
        artifacts.pack(tmp_path / "adapter", tmp_path / "adapter.zip", name="adapter.zip")


def test_pack_leaves_out_what_a_killed_trainer_had_half_written(tmp_path: Path) -> None:
    (tmp_path / "adapter").mkdir()
    for name in ("adapter_model.safetensors", ".manifest.json.partial"):
        (tmp_path / "adapter" / name).write_bytes(b"x")

    artifacts.pack(tmp_path / "adapter", tmp_path / "adapter.zip", name="adapter.zip")

    with zipfile.ZipFile(tmp_path / "adapter.zip") as archive:
        assert archive.namelist() == ["adapter_model.safetensors"]


def test_pack_refuses_a_link_out_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_text("{}")
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_config.json").symlink_to(tmp_path / "secret.json")
    with pytest.raises(NotPacked, match=r"adapter_config\.json may not be handed over"):
        artifacts.pack(tmp_path / "adapter", tmp_path / "adapter.zip", name="adapter.zip")


def test_unpack_restores_what_pack_packed(tmp_path: Path) -> None:
    (tmp_path / "saved").mkdir()
    (tmp_path / "saved" / "state.json").write_text("{}")
    artifacts.pack(tmp_path / "saved", tmp_path / "checkpoint.zip", name="checkpoint.zip", prefix="step-000010")
    artifacts.unpack(tmp_path / "checkpoint.zip", tmp_path / "checkpoints")
    assert (tmp_path / "checkpoints" / "step-000010" / "state.json").read_text() == "{}"


@pytest.mark.parametrize(
    "name",
    ["../outside.json", "/etc/outside.json", "a/../../outside.json", "step/rng.pth", "..\\outside.json", "step/"],
)
def test_unpack_refuses_other_paths_and_other_files(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / "checkpoint.zip", "w") as archive:
        archive.writestr(zipfile.ZipInfo(name), b"x")
    with pytest.raises(WrongInput, match="such a file does not belong there"):
        artifacts.unpack(tmp_path / "checkpoint.zip", tmp_path / "checkpoints")
    assert not (tmp_path / "checkpoints").exists()


def test_unpack_refuses_a_zip_bomb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(artifacts, "MAX_ARTIFACT_BYTES", 1000)
    with zipfile.ZipFile(tmp_path / "checkpoint.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("step/state.json", b"0" * 1001)
    with pytest.raises(WrongInput, match="unpacks to 1,001 bytes, over the limit of 1,000"):
        artifacts.unpack(tmp_path / "checkpoint.zip", tmp_path / "checkpoints")


def location(name: str = "inputs/train.jsonl", data: bytes = DATA) -> InputLocation:
    url = "/api/worker/v1/jobs/7/inputs/train.jsonl"
    return InputLocation(name=name, url=url, sha256=sha256(data), size_bytes=len(data))


def test_fetch_writes_the_input_and_checks_its_digest(tmp_path: Path) -> None:
    with answering((200, DATA)) as (_, client):
        path = artifacts.fetch_input(client, KEY, location(), tmp_path, give_up=never)
    assert (path, path.read_bytes()) == (tmp_path / "inputs" / "train.jsonl", DATA)


@pytest.mark.parametrize("arrived", [b"X" + DATA[1:], DATA[:-1], DATA + b"more"])
def test_fetch_refuses_other_bytes_than_announced(tmp_path: Path, arrived: bytes) -> None:
    with answering((200, arrived)) as (_, client), pytest.raises(WrongInput):
        artifacts.fetch_input(client, KEY, location(), tmp_path, give_up=never)


@pytest.mark.parametrize("name", ["../outside.jsonl", "/etc/cron.d/x", "spec.json", "worker.json"])
def test_fetch_refuses_a_name_that_the_site_must_not_choose(tmp_path: Path, name: str) -> None:
    with answering((200, DATA)) as (site, client), pytest.raises(WrongInput, match="the site lists the input"):
        artifacts.fetch_input(client, KEY, location(name), tmp_path, give_up=never)
    assert site.asked == []
