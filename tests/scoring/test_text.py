"""chrF and ROUGE-L against the papers' definitions and worked examples."""

from collections import Counter

import pytest

from playbook.scoring.text import chrf, rouge_l


@pytest.mark.parametrize(
    ("output", "score"),
    [
        # Lin 2004, section 3.1: the reference is "police killed the gunman".
        ("police killed the gunman", 1.0),
        ("police kill the gunman", 3 / 4),
        ("the gunman kill police", 2 / 4),
        ("the gunman police killed", 2 / 4),
        ("", 0.0),
        ("Police, killed: the GUNMAN!", 1.0),
    ],
)
def test_rouge_l_gives_the_paper_s_examples(output: str, score: float) -> None:
    assert rouge_l(output=output, reference="police killed the gunman") == pytest.approx(score)


def test_rouge_l_weighs_precision_and_recall_alike() -> None:
    # One of two words against one of four: precision 1/2, recall 1/4.
    assert rouge_l(output="a x", reference="a b c d") == pytest.approx(2 * 0.5 * 0.25 / 0.75)


def test_rouge_l_reads_words_of_any_script() -> None:
    assert rouge_l(output="собака бежит", reference="собака спит") == 0.5


def _chrf_by_definition(output: str, reference: str) -> float:
    """Popović 2015: F-score of the averages over n of n-gram precision and recall, white space left out; orders that
    neither text is long enough for are left out (sacrebleu's effective order)."""
    hypothesis, wanted = "".join(output.split()), "".join(reference.split())
    precisions, recalls = [], []
    for n in range(1, 7):
        given, right = (Counter(text[at : at + n] for at in range(len(text) - n + 1)) for text in (hypothesis, wanted))
        if given and right:
            matched = (given & right).total()
            precisions.append(matched / given.total())
            recalls.append(matched / right.total())
    precision, recall = sum(precisions) / len(precisions), sum(recalls) / len(recalls)
    return 0.0 if precision + recall == 0 else 5 * precision * recall / (4 * precision + recall)


@pytest.mark.parametrize(
    ("output", "reference"),
    [
        ("abc", "abd"),
        ("the cat sat on the mat", "the cat sat on a mat"),
        ("risk assessment must be made of those who are qualified", "risk assessment has to be undertaken by those"),
        ("xyz", "abc"),
        ("same text", "same text"),
    ],
)
def test_chrf_is_that_of_its_definition(output: str, reference: str) -> None:
    assert chrf(output=output, reference=reference) == pytest.approx(_chrf_by_definition(output, reference), abs=1e-6)


@pytest.mark.parametrize(("output", "reference", "score"), [("", "a", 0.0), ("a", " ", 0.0), ("", "", 1.0)])
def test_an_empty_text_is_like_an_empty_text_alone(output: str, reference: str, score: float) -> None:
    assert (chrf(output=output, reference=reference), rouge_l(output=output, reference=reference)) == (score, score)


@pytest.mark.parametrize(("output", "score"), [("?", 1.0), (" ?\n", 1.0), ("!", 0.0), ("", 0.0), ("a", 0.0)])
def test_texts_without_a_word_are_alike_when_they_are_the_same(output: str, score: float) -> None:
    assert rouge_l(output=output, reference="?") == score
