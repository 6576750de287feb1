"""What the drawings take from the content files: rows of the sample dataset, sizes of a base model, a table.

Read once; the drawings get values and open no file themselves.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from playbook.contracts.dataset import Example, Split, read_examples
from playbook.library.calculators import ModelShape
from playbook.library.content import Library, load_library

DATASET = "support-tickets"
BASE_MODEL = "Qwen/Qwen2.5-1.5B-Instruct"
COMPARISON = "train/full-fine-tuning-or-lora"
_CELL = re.compile(r"\s*\|\s*")


@dataclass(frozen=True)
class Method:
    """A row of the comparison that PEFT published: right answers in percent, and its score of forgetting."""

    name: str
    right_percent: float
    forgetting: float


@dataclass(frozen=True)
class Sample:
    """`words`: how many each train row has, in the order of the file. `rows`: of each split."""

    first: Example
    words: tuple[int, ...]
    rows: dict[Split, int]
    model_title: str
    shape: ModelShape
    methods: tuple[Method, ...]


def read_sample(content_dir: Path) -> Sample:
    """Return what the drawings show of the shipped files. Raises KeyError when one of them is gone."""
    library = load_library(content_dir)
    card = library.datasets[DATASET]
    with (content_dir / card.split_path(Split.TRAIN)).open("rb") as lines:
        rows = read_examples(lines).examples
    model = library.base_models[BASE_MODEL]
    if model.shape is None:
        raise KeyError(f"{BASE_MODEL} has no shape in models.yaml")
    return Sample(
        first=rows[0],
        words=tuple(sum(len((message.content or "").split()) for message in row.messages) for row in rows),
        rows={split: found.rows for split, found in card.splits.items()},
        model_title=model.title,
        shape=model.shape.model_shape,
        methods=_methods(library),
    )


def _methods(library: Library) -> tuple[Method, ...]:
    """Return the rows of the article's table whose header ends in "forgetting"."""
    table = library.articles[COMPARISON].body.partition("| forgetting |")[2].partition("\n\n")[0]
    rows = (_CELL.split(line.strip("| ")) for line in table.splitlines()[2:])
    return tuple(Method(cells[0], float(cells[1]), float(cells[-1])) for cells in rows)
