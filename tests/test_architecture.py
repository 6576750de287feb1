"""The rules of the layout that no single test of a package would notice being broken.

import-linter reads the imports that are written down (`make check`); here each package is really imported, in a fresh
interpreter, so that a lazy or third-party import shows too.
"""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
STATIC = ROOT / "playbook/web/static"
MAX_LINES = 400
#: The verifier of bundles is one file, so that it runs anywhere with Python alone.
LONGER = {"playbook/web/decisions/verify_bundle.py": 430}

#: Imports every module of a package, then prints the top-level names, and ours in full, that are loaded.
IMPORT_ALL = """
import importlib, os, pkgutil, sys
if sys.argv[1] == "playbook.web":
    os.environ["DJANGO_SETTINGS_MODULE"] = "playbook.web.settings"
    import django
    django.setup()
package = importlib.import_module(sys.argv[1])
for found in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    importlib.import_module(found.name)
loaded = {name if name.startswith("playbook.") else name.partition(".")[0] for name in sys.modules}
print("\\n".join(sorted(loaded)))
"""


def _loaded_by(package: str) -> set[str]:
    return set(
        subprocess.run(
            [sys.executable, "-c", IMPORT_ALL, package], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.split()
    )


def _within(names: set[str], prefixes: tuple[str, ...]) -> list[str]:
    return sorted(
        name for name in names if name.startswith(tuple(f"{prefix}." for prefix in prefixes)) or name in prefixes
    )


@pytest.mark.parametrize(
    ("package", "forbidden"),
    [
        ("contracts", ("django", "torch", "transformers", "httpx", "playbook.library", "playbook.scoring")),
        ("library", ("django", "torch", "transformers", "httpx", "playbook.scoring", "playbook.web")),
        (
            "scoring",
            # From numpy on: imported on use, so that a site starts without them.
            (
                *("django", "torch", "transformers", "httpx", "playbook.library", "playbook.web"),
                *("numpy", "scipy", "sacrebleu", "rapidfuzz", "jsonschema", "regex"),
            ),
        ),
        (
            "datasets",
            ("django", "torch", "transformers", "httpx", "playbook.library", "playbook.scoring", "playbook.web"),
        ),
        ("worker", ("django", "ninja", "torch", "transformers", "peft", "playbook.trainer", "playbook.web")),
        ("trainer", ("django", "ninja", "playbook.worker", "playbook.web")),
        ("web", ("torch", "transformers", "peft", "safetensors", "playbook.trainer", "playbook.worker")),
    ],
)
def test_package_loads_nothing_that_is_not_its_own(package: str, forbidden: tuple[str, ...]) -> None:
    assert _within(_loaded_by(f"playbook.{package}"), (*forbidden, "playbook.demo")) == []


def test_demo_loads_the_standard_library_alone() -> None:
    ours = {name for name in _loaded_by("playbook.demo") if name not in sys.stdlib_module_names}
    # What a virtual environment's own start-up files load is not the demo's doing.
    at_start = set(
        subprocess.run(
            [sys.executable, "-c", "import sys; print('\\n'.join({name.partition('.')[0] for name in sys.modules}))"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()
    )
    assert [name for name in sorted(ours - at_start) if not name.startswith("playbook.demo")] == ["playbook"]


@pytest.mark.parametrize(
    "module",
    [path for folder in ("playbook", "tests") for path in sorted((ROOT / folder).rglob("*.py"))],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_module_is_short_enough_to_read_in_one_sitting(module: Path) -> None:
    name = str(module.relative_to(ROOT))
    lines, most = len(module.read_text().splitlines()), LONGER.get(name, MAX_LINES)
    assert lines <= most, f"{name} has {lines} lines, at most {most}; split it"


def test_only_the_article_body_is_marked_safe() -> None:
    pattern = re.compile(r"\|\s*safe(?:seq)?\b|{%\s*autoescape\s+off|mark_safe\(|SafeString\(|@html_safe")
    files = [*TEMPLATES, *(ROOT / "playbook/web").rglob("*.py")]
    marked = [str(file.relative_to(ROOT)) for file in files for _ in pattern.findall(file.read_text())]
    assert marked == ["templates/wiki/_article_text.html"]


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: str(path.relative_to(ROOT)))
def test_template_needs_nothing_that_the_content_security_policy_forbids(template: Path) -> None:
    """No inline script, style or event handler, no `javascript:` address, nothing from another host."""
    text = template.read_text()
    inline = re.findall(r"<style\b|<script(?![^>]*\bsrc=)|\sstyle=|\son[a-z]+\s*=\s*[\"']|javascript:|\bhx-on\b", text)
    foreign = re.findall(
        r"<(?:script|link|img|iframe|source|video|audio)\b[^>]*?(?:src|href)=[\"']?(?:https?:)?//", text
    )
    assert inline + foreign == []


def test_stylesheets_and_scripts_name_no_other_host() -> None:
    files = [file for file in STATIC.rglob("*") if file.suffix in (".css", ".js", ".svg", ".html")]
    # A namespace or a licence is named, not fetched.
    harmless = re.compile(r"http://www\.w3\.org/\S*|/\*.*?\*/|<!--.*?-->", re.DOTALL)
    found = [
        f"{file.relative_to(ROOT)}: {address}"
        for file in files
        for address in re.findall(r"https?://[^\s\"')]+|url\([\"']?//", harmless.sub("", file.read_text()))
    ]
    assert found == []
