"""Documents at the limit of a set: 50 MB cut into passages and indexed, time and memory, and one question asked.

`python -m tests.benchmarks documents` prints the rows. The text is that of `bench_search`, in sentences of 12 words. It
is measured in a process of its own, so that its peak memory is its own.
"""

import gc
import subprocess
import sys
import time
from pathlib import Path

from playbook.contracts.documents import Document
from playbook.trainer.retrieve import PassageIndex, cut
from tests.benchmarks.bench_search import Corpus
from tests.benchmarks.table import Row

SIZE_BYTES = 50_000_000
_DOCUMENTS = 50
_NEEDLE = "The code of the vault is 4711."


def measure() -> tuple[list[Row], dict[str, object]]:
    command = [sys.executable, "-c", "from tests.benchmarks.bench_documents import main; main()"]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    cut_seconds, index_seconds, find_ms, peak_mb, passages = map(float, done.stdout.split())
    rows = [
        Row("50 MB of documents cut into passages", cut_seconds, "s", at_most=60),
        Row("BM25 index over them", index_seconds, "s", at_most=120),
        Row("best five of them for a question", find_ms, "ms", at_most=250),
        Row("peak memory of all of it, the text included", peak_mb, "MB", at_most=2_000),
    ]
    return rows, {"passages": int(passages), "documents": _DOCUMENTS, "size_bytes": SIZE_BYTES}


def main() -> None:
    """Print seconds to cut, seconds to index, milliseconds to find, peak memory in MB, and how many passages."""
    documents = _documents()
    gc.collect()
    start = time.perf_counter()
    passages = cut(documents, words=120)
    cut_at = time.perf_counter()
    index = PassageIndex(passages)
    indexed_at = time.perf_counter()
    (found, *_) = index.find("What is the code of the vault?", 5)
    found_at = time.perf_counter()
    if _NEEDLE not in found.text:
        raise RuntimeError(f"the passage that answers was not found, but {found.text[:80]!r}")
    status = Path("/proc/self/status").read_text(encoding="ascii")
    peak_kb = int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])
    print(cut_at - start, indexed_at - cut_at, 1000 * (found_at - indexed_at), peak_kb / 1000, len(passages))


def _documents() -> list[Document]:
    corpus, size = Corpus(), SIZE_BYTES // _DOCUMENTS
    found = []
    for number in range(_DOCUMENTS):
        words = corpus.text(size // 6).split()
        text = ". ".join(" ".join(words[at : at + 12]) for at in range(0, len(words), 12))[:size]
        found.append(Document(id=str(number), text=f"{text}. {_NEEDLE}" if number == _DOCUMENTS // 2 else text))
    return found
