"""TeX → MathML: what is drawn, what is refused, and that nothing passes unescaped."""

import re

import pytest

from playbook.library.formulas import FORMULA, FormulaError, to_mathml


@pytest.mark.parametrize(
    ("tex", "inner"),
    [
        ("x^2", "<msup><mi>x</mi><mn>2</mn></msup>"),
        (r"\frac{\alpha}{r}", "<mfrac><mrow><mi>α</mi></mrow><mrow><mi>r</mi></mrow></mfrac>"),
        ("a<b", "<mi>a</mi><mo>&lt;</mo><mi>b</mi>"),
        (r"\text{new & old}", "<mtext>new\xa0&amp;\xa0old</mtext>"),
        (r"\color{red}x", '<mstyle mathcolor="red"><mi>x</mi></mstyle>'),
    ],
)
def test_tex_is_drawn(tex: str, inner: str) -> None:
    assert to_mathml(tex, block=False) == f'<math display="inline"><mrow>{inner}</mrow></math>'
    assert to_mathml(tex, block=True) == f'<math display="block"><mrow>{inner}</mrow></math>'


@pytest.mark.parametrize(
    "tex",
    [
        r"\text{<script>alert(1)</script>}",
        r"\text{&lt;img src=x onerror=alert(1)&gt;}",
        r"\mbox{</mtext></math><script>alert(1)</script>}",
        r"\href{javascript:alert(1)}{x}",
        r"\style{background:url(https://evil.example)}{x}",
        r"\class{site-head}{x}",
        r"\id{main}{x}",
        r"\color{red\" onclick=\"alert(1)}x",
        r"\begin{matrix} <svg> & <style> \\ a & b \end{matrix}",
    ],
)
def test_nothing_in_a_formula_executes(tex: str) -> None:
    try:
        written = to_mathml(tex, block=False)
    except FormulaError:
        return
    tags = re.findall(r"<[^>]*>", written)
    assert {re.split(r"[ >]", tag.strip("</"))[0] for tag in tags} <= {
        *("math", "mrow", "mi", "mo", "mn", "mtext", "mstyle", "mtable", "mtr", "mtd"),
    }
    assert [tag for tag in tags if re.search(r"\s(?:href|style|class|id|on\w+)=", tag)] == []


@pytest.mark.parametrize(
    ("tex", "message"),
    [
        (r"\unknown x", r"unknown command \unknown"),
        (r"\frac{a}", "a part is missing in frac"),
        ("{a", "1 opening and 0 closing braces"),
        ("a}", "0 opening and 1 closing braces"),
        (r"\left( x", "extra left or missing right"),
        ("x^", "missing super script or subscript"),
        ("x" * 2_001, "longer than 2,000 characters"),
        ("{" * 300 + "}" * 300, "more than 200 pairs of braces"),
    ],
)
def test_what_cannot_be_read_says_why(tex: str, message: str) -> None:
    with pytest.raises(FormulaError) as refused:
        to_mathml(tex, block=False)

    assert str(refused.value) == message


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("$5 and $10", []),
        ("between $5/$10", []),
        (r"\$5 and x$", []),
        ("$ x $", []),
        ("$x$ and $y_1$.", ["$x$", "$y_1$"]),
        ("$$\na\n= b\n$$", ["$$\na\n= b\n$$"]),
        ("$a$5", []),
        ("one $x\n\ny$ two", []),
    ],
)
def test_money_is_no_formula(text: str, found: list[str]) -> None:
    assert [match.group() for match in re.finditer(FORMULA, text, re.DOTALL)] == found
