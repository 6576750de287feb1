"""A shipped sample on disk: its data card (`content/datasets/<slug>/card.md`) and the bytes of its three files.

The generator that wrote the rows wrote their digests into the card; here they prove that both belong together.
"""

from hashlib import sha256
from pathlib import Path

from playbook.contracts.dataset import Split
from playbook.library.articles import split_front_matter
from playbook.library.catalog import CardFrontMatter
from playbook.library.files import read_text
from playbook.library.problems import ContentError


def read_sample(folder: Path) -> tuple[CardFrontMatter, dict[Split, bytes]]:
    """Return the card and the bytes of the three files.

    Raises FileNotFoundError when a split file is missing, ContentError naming the line when the card is wrong or a
    file is not the one that the card describes.
    """
    fields, _, _ = split_front_matter(read_text(folder, "card.md"))
    card = fields.parse(CardFrontMatter)
    contents = {split: (folder / f"{split}.jsonl").read_bytes() for split in Split}
    for split, content in contents.items():
        found = sha256(content).hexdigest()
        stated = card.splits[split].sha256 if split in card.splits else "nothing"
        if stated != found:
            line = fields.line(("splits", split.value))
            message = f"{split}.jsonl has sha256 {found}, the card says {stated}; generate card and files in one run"
            raise ContentError((line, message))
    return card, contents
