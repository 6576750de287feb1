"""Files in and out: inputs fetched and checked by digest, folders packed the same way each time, chunked uploads."""

import hashlib
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath

from playbook.contracts.dataset import Split
from playbook.contracts.merging import MERGED as MERGED
from playbook.contracts.protocol import MAX_ARTIFACT_BYTES, MAX_CHUNK_BYTES, ZIP_SUFFIXES, InputLocation
from playbook.worker.client import Client, JobKey, Refusal
from playbook.worker.retry import retry

REPORT = "report.json"
ADAPTER = "adapter.zip"
MODEL = "model.zip"
CHECKPOINT = "checkpoint.zip"
#: The adapter that a playground session answers with or a merge takes, and the report of its run.
INPUT_ADAPTER, INPUT_REPORT = f"inputs/{ADAPTER}", f"inputs/{REPORT}"
#: The names that a claim may list; anything else would be a path that the site must not choose.
INPUT_NAMES = frozenset(
    {*(f"inputs/{name}.jsonl" for name in (*Split, "documents")), CHECKPOINT, INPUT_ADAPTER, INPUT_REPORT}
)
_READ_BYTES = 1024 * 1024
#: The earliest date that a zip can carry: the same files give the same bytes.
_ZIP_DATE = (1980, 1, 1, 0, 0, 0)


class WrongInput(Exception):
    """An input that is not what the claim announced."""


class NotPacked(Exception):
    """A folder that holds what must not be handed over."""


def fetch_input(
    client: Client, key: JobKey, location: InputLocation, run_dir: Path, *, give_up: Callable[[], bool]
) -> Path:
    """Fetch an input into the run folder and return its path. Raises WrongInput when name, size or digest differ."""
    if location.name not in INPUT_NAMES:
        raise WrongInput(f"the site lists the input {location.name!r}; known are {', '.join(sorted(INPUT_NAMES))}")
    target = run_dir / location.name
    target.parent.mkdir(parents=True, exist_ok=True)

    def fetch() -> str:
        with client.input(key, location) as chunks:
            return _write(target, chunks, limit_bytes=location.size_bytes)

    digest = retry(fetch, give_up=give_up)
    if digest != location.sha256 or target.stat().st_size != location.size_bytes:
        raise WrongInput(
            f"{location.name} arrived with sha256 {digest} and {target.stat().st_size:,} bytes; "
            f"announced were {location.sha256} and {location.size_bytes:,} bytes"
        )
    return target


def _write(target: Path, chunks: Iterable[bytes], *, limit_bytes: int) -> str:
    digest = hashlib.sha256()
    written = 0
    with target.open("wb") as file:
        for chunk in chunks:
            written += len(chunk)
            if written > limit_bytes:
                raise WrongInput(f"{target.name} is longer than the {limit_bytes:,} bytes announced")
            digest.update(chunk)
            file.write(chunk)
    return digest.hexdigest()


def pack(folder: Path, target: Path, *, name: str, prefix: str = "") -> None:
    """Zip the files of a folder so that the same files give the same bytes. `prefix` becomes their folder.

    Stored, not compressed: weights do not compress. What a killed trainer left half written (`*.partial`) stays here.
    Raises NotPacked for a suffix outside `ZIP_SUFFIXES[name]`, such as a pickle, which could run code where it is
    loaded.
    """
    allowed = ZIP_SUFFIXES[name]
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".partial")
    for path in files:
        if path.suffix not in allowed or path.is_symlink():
            raise NotPacked(
                f"{path.relative_to(folder)} may not be handed over in {name}; allowed are {', '.join(sorted(allowed))}"
            )
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for path in files:
            inner = PurePosixPath(prefix, path.relative_to(folder).as_posix())
            entry = zipfile.ZipInfo(str(inner), _ZIP_DATE)
            entry.external_attr = 0o644 << 16
            with path.open("rb") as source, archive.open(entry, "w", force_zip64=True) as sink:
                while data := source.read(_READ_BYTES):
                    sink.write(data)


def unpack(archive_path: Path, target: Path) -> None:
    """Unpack a zip into `target`. Raises WrongInput for anything but plain data in relative paths: what
    `ZIP_SUFFIXES` allows in an archive of that name."""
    name = archive_path.name
    allowed = ZIP_SUFFIXES[name]
    try:
        with zipfile.ZipFile(archive_path) as archive:
            entries = archive.infolist()
            for entry in entries:
                path = PurePosixPath(entry.filename)
                if path.suffix not in allowed or path.is_absolute() or ".." in path.parts or "\\" in entry.filename:
                    raise WrongInput(f"{name} holds {entry.filename!r}, and such a file does not belong there")
            if (total := sum(entry.file_size for entry in entries)) > MAX_ARTIFACT_BYTES:
                raise WrongInput(f"{name} unpacks to {total:,} bytes, over the limit of {MAX_ARTIFACT_BYTES:,}")
            archive.extractall(target)
    except zipfile.BadZipFile as error:
        raise WrongInput(f"{name} cannot be unpacked: {error}") from error


def upload(client: Client, key: JobKey, name: str, path: Path, *, give_up: Callable[[], bool]) -> None:
    """Upload a file from where the site has it, and have it checked.

    Raises Refusal when the site will not take it, SiteFailure for a lasting fault, GaveUp.
    """
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    size_bytes = path.stat().st_size
    for last_try in (False, True):
        _send_rest(client, key, name, path, give_up=give_up)
        try:
            retry(lambda: client.complete_artifact(key, name, sha256=sha256, size_bytes=size_bytes), give_up=give_up)
        except Refusal as refusal:
            # 416: bytes are missing; 422: what lay there was another file's, and is discarded now. Both once.
            if last_try or refusal.status not in (416, 422):
                raise
        else:
            return


def _send_rest(client: Client, key: JobKey, name: str, path: Path, *, give_up: Callable[[], bool]) -> None:
    offset = retry(lambda: client.artifact_offset(key, name), give_up=give_up)
    with path.open("rb") as file:
        while True:
            file.seek(offset)
            data = file.read(MAX_CHUNK_BYTES)
            if not data:
                return
            offset = _send_chunk(client, key, name, offset, data, give_up=give_up)


def _send_chunk(
    client: Client, key: JobKey, name: str, offset: int, data: bytes, *, give_up: Callable[[], bool]
) -> int:
    try:
        return retry(lambda: client.put_chunk(key, name, offset=offset, data=data), give_up=give_up)
    except Refusal as refusal:
        # The chunk had arrived and its answer was lost: go on where the site is.
        if refusal.status != 416 or refusal.offset is None:
            raise
        return refusal.offset
