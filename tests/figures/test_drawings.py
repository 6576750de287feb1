"""The shipped drawings: made by the generator, used, sourced, and right where another source states the number."""

import re
import shutil
from pathlib import Path

import pytest

from playbook.figures.__main__ import draw_all, main
from playbook.figures.diagrams import padded_share
from playbook.figures.drawing import Drawing
from playbook.library.articles import Article
from playbook.library.blocks import BlockMark
from playbook.library.content import load_library
from playbook.library.figures import read_figure

CONTENT = Path(__file__).parents[2] / "content"
LIBRARY = load_library(CONTENT)
DRAWINGS = draw_all(CONTENT)
SHOWN = [
    (article, block)
    for article in LIBRARY.articles.values()
    for block in article.outline.blocks
    if block.kind == "figure"
]
#: What a caption says of a drawing whose numbers come from no paper.
OWN = re.compile(r"This site's own|our judgement|our memory calculator|the calculator below|the sample dataset")


def test_the_generator_writes_the_committed_bytes() -> None:
    written = {slug: drawing.svg() for slug, drawing in DRAWINGS.items()}

    assert written == {file.stem: file.read_text(encoding="utf-8") for file in (CONTENT / "figures").glob("*.svg")}


@pytest.mark.parametrize(("slug", "drawing"), DRAWINGS.items(), ids=DRAWINGS.keys())
def test_a_drawing_stays_within_its_frame(slug: str, drawing: Drawing) -> None:
    """Points and boxes; how wide a text is, only a browser knows."""
    figure = read_figure(f"figures/{slug}.svg", drawing.svg())
    x = [float(place) for place in re.findall(r' (?:x|x1|x2|cx)="([-\d.]+)"', figure.shapes)]
    y = [float(place) for place in re.findall(r' (?:y|y1|y2|cy)="([-\d.]+)"', figure.shapes)]

    assert (min(x) >= 0, max(x) <= figure.width) == (True, True)
    assert (min(y) >= 0, max(y) <= figure.height) == (True, True)


def test_every_drawing_is_shown_in_an_article() -> None:
    assert {block.argument for _, block in SHOWN} == DRAWINGS.keys()


@pytest.mark.parametrize(("article", "block"), SHOWN, ids=lambda value: getattr(value, "key", ""))
def test_every_drawing_has_a_source(article: Article, block: BlockMark) -> None:
    below = article.text.split("\n")[block.line :]
    caption = " ".join(below[: below.index("///")])
    names = [re.split(r"[ ,]", source.author)[0] for source in article.sources]

    assert any(name in caption for name in names) or OWN.search(caption), caption


@pytest.mark.parametrize(
    ("slug", "stated"),
    [
        # Wilson's interval as `tests/scoring` checks it against scipy; the rows as Miller's formula has them.
        ("interval-width", "30 rows: 63 % to 90 %, 100 rows: 71 % to 87 %"),
        ("lora-matrices", "1,536 by 1,536, that is 2,359,296 numbers"),
        ("lora-matrices", "together 49,152, or 2.1 %"),
        ("three-splits", "The sample dataset has 480 rows. Train: 360 rows"),
        ("learned-and-forgotten", "LoRA r 32, query and value: 47.8 % (45 % to 50 %), forgetting 0.050"),
    ],
)
def test_a_number_is_the_one_that_other_sources_state(slug: str, stated: str) -> None:
    assert stated in DRAWINGS[slug].description


def test_padding_is_counted_to_the_longest_of_each_batch() -> None:
    """Two batches: 2 and 4 words fill 8 places, 5 and 5 fill 10; 16 of 18 places hold words."""
    assert padded_share((2, 4, 5, 5), 2) == pytest.approx(2 / 18)


def test_the_command_writes_every_drawing(tmp_path: Path) -> None:
    shutil.copytree(CONTENT, tmp_path / "content")
    for file in (tmp_path / "content/figures").iterdir():
        file.unlink()

    main(tmp_path / "content")

    assert {file.stem for file in (tmp_path / "content/figures").iterdir()} == DRAWINGS.keys()
