"""How alike two texts are: chrF and ROUGE-L. The libraries are imported on first use; the site seldom needs them."""

import re
from functools import cache
from typing import Any

#: Words as people see them: letters and digits of any script.
_WORD = re.compile(r"\w+")


def chrf(*, output: str, reference: str) -> float:
    """Return the character n-gram F-score, n = 1 to 6, recall counted twice (beta = 2), from 0 to 1.

    Source: Popović, "chrF: character n-gram F-score for automatic MT evaluation", WMT 2015; computed by sacrebleu
    (Post 2018), sentence by sentence.
    """
    if not output.strip() or not reference.strip():
        return float(output.strip() == reference.strip())
    return min(1.0, float(_chrf().sentence_score(output, [reference]).score) / 100)


@cache
def _chrf() -> Any:
    from sacrebleu.metrics.chrf import CHRF

    return CHRF()


def rouge_l(*, output: str, reference: str) -> float:
    """Return the F-score (beta = 1) of the longest common subsequence of words, from 0 to 1, letter case aside.

    Source: Lin, "ROUGE: A Package for Automatic Evaluation of Summaries", 2004, section 3.1; beta = 1 as in the package
    rouge-score. The subsequence is found by rapidfuzz.

    >>> rouge_l(output="police kill the gunman", reference="police killed the gunman")
    0.75
    """
    from rapidfuzz.distance import LCSseq

    got, wanted = (_WORD.findall(text.casefold()) for text in (output, reference))
    if not got or not wanted:
        # Marks alone have no words to share: "!" is no answer to "?".
        return float(output.strip() == reference.strip())
    common = LCSseq.similarity(got, wanted)
    return 2 * common / (len(got) + len(wanted))
