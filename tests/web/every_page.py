"""Every page of the site, one row each: what `test_every_page` and `test_every_page_in_browser` go through.

A new url pattern belongs into one of the three tables here; a test fails until it does.
"""

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.urls import URLPattern, URLResolver, get_resolver, reverse

from playbook.contracts.dataset import Split
from playbook.contracts.roles import Role
from playbook.web.accounts.models import User
from playbook.web.assessments.actions import start_assessment
from playbook.web.common.content import library
from playbook.web.datasets.actions import Card, create_dataset
from playbook.web.datasets.reading import read_three_files
from playbook.web.decisions import actions as decisions
from playbook.web.outcomes.actions import record_outcome
from playbook.web.outcomes.models import Confirmation
from playbook.web.search.actions import record_missed
from playbook.web.usecases.actions import create_use_case
from playbook.web.wiki.actions import flag_article
from tests.web import decided
from tests.web.datasets.conftest import CARD, jsonl
from tests.web.jobs.ended import claimed_job, succeeded_job
from tests.web.jobs.factories import make_job
from tests.web.wiki.every_block import ARTICLE, BLOCKS, PICTURE

#: url name → why it is no page: it answers in another format, or with a part of one.
NOT_PAGES = {
    "home:healthz": "JSON",
    "wiki:feed": "Atom",
    "wiki:freshness": "JSON",
    "wiki:image": "a picture",
    "wiki:source": "Markdown",
    "wiki:preview": "the card of a link, shown by an article",
    "search:palette": "the results of the palette, shown in it",
    "sitemap": "XML",
    "llms": "text",
    "jobs:events": "JSON lines",
    "jobs:artifact": "a file",
    "decisions:markdown": "Markdown",
}
#: url names that only write.
POSTS = frozenset(
    {
        "accounts:logout",
        "assessments:answer",
        "assessments:start",
        "decisions:deprecate",
        "decisions:draft",
        "decisions:propose",
        "decisions:reopen",
        "decisions:sign",
        "decisions:supersede",
        "decisions:withdraw",
        "jobs:cancel",
        "search:missing",
        "theme",
        "usecases:add_member",
        "usecases:remove_member",
        "wiki:flag",
        "wiki:resolve_flag",
    }
)


@dataclass(frozen=True)
class Row:
    """One page to visit. `name`: of its url pattern, empty for a page that is none's. `who`: nobody when empty."""

    name: str
    path: str
    status: int = 200
    who: str = "erin"

    @property
    def label(self) -> str:
        """What a picture of it is called."""
        return self.path.strip("/").replace("/", "-").partition("?")[0] or "home"


def url_names() -> set[str]:
    """Return the names of all url patterns, `<namespace>:<name>`; the worker protocol, which has no pages, left out."""
    return {name for name in _names(get_resolver().url_patterns, "") if not name.startswith("worker-protocol")}


def _names(patterns: list[URLPattern | URLResolver], namespace: str) -> Iterator[str]:
    for pattern in patterns:
        if isinstance(pattern, URLResolver):
            if not str(pattern.pattern).startswith("api/"):
                yield from _names(pattern.url_patterns, f"{namespace}{pattern.namespace}:")
        else:
            yield f"{namespace}{pattern.name}"


def copy_content(folder: Path, to: Path) -> None:
    """Copy the project's content, add an article with every block, and commit it twice: so that it has a history."""
    shutil.copytree(folder, to, ignore=shutil.ignore_patterns("*.jsonl"))
    article = to / "articles" / f"{ARTICLE}.md"
    article.with_name("dot.png").write_bytes(PICTURE)
    for subject, text in (
        ("Write the article", BLOCKS.replace("adapter", "add-on")),
        ("Say adapter, as elsewhere", BLOCKS),
    ):
        article.write_text(text)
        for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", subject]):
            identity = ["-c", "user.name=Alice Moreau", "-c", "user.email=alice@example.org"]
            subprocess.run(["git", *identity, *command], cwd=to, check=True)


def make_rows(erin: User, bob: User, charlie: User) -> tuple[Row, ...]:
    """Fill the site as a team would have, and return its pages. `erin` is staff and belongs to every use case."""
    full = create_use_case(
        name="Support ticket triage",
        description="Turn a support ticket into the four fields that the queue needs.",
        created_by=erin,
        members={Role.ML_LEAD: [bob], Role.PRODUCT_OWNER: [charlie]},
    )
    empty = create_use_case(name="Nothing yet", description="", created_by=erin, members={})
    accepted = decided.accepted(full, author=erin, ml_lead=bob, product_owner=charlie)
    draft = decisions.draft_from_assessment(decided.assessed(full, erin), created_by=erin)
    assessment = start_assessment(
        use_case=full, checklist=library().checklists["should-we-fine-tune"], article="", created_by=erin
    )
    running = claimed_job(full, erin).job
    reported, recorded = (succeeded_job(full, erin, decision=accepted) for _ in range(2))
    make_job(full, erin)
    record_outcome(
        recorded, confirmation=Confirmation.ADOPTED, lessons="Forty steps were enough; labels matter.", actor=erin
    )
    splits = {split: jsonl(f"{split} row") for split in Split}
    dataset = create_dataset(use_case=full, card=Card(**CARD), splits=read_three_files(splits), created_by=erin)
    article = library().articles[ARTICLE]
    flag_article(article, comment="The price in the second section is last year's.", by=bob)
    record_missed("zebra unicorn")
    return (
        Row("home:home", "/"),
        Row("home:home", "/", who="bob"),
        Row("wiki:index", "/library/"),
        Row("wiki:area", reverse("wiki:area", args=[article.area])),
        Row("wiki:article", reverse("wiki:article", args=[article.area, article.slug])),
        Row("wiki:article", reverse("wiki:article", args=decided.ARTICLE.split("/"))),
        Row("wiki:history", reverse("wiki:history", args=[article.area, article.slug])),
        Row("wiki:review", "/library/review/"),
        Row("wiki:review", "/library/review/?owner=nobody"),
        Row("wiki:glossary", "/library/glossary/"),
        Row("wiki:evidence", reverse("wiki:evidence", args=["C11"])),
        Row("wiki:tag", reverse("wiki:tag", args=[article.tags[0]])),
        Row("wiki:models", "/library/models/"),
        Row("wiki:calculators", "/library/calculators/"),
        Row("wiki:calculator", "/library/calculators/lora-memory/"),
        Row("wiki:calculator", "/library/calculators/break-even/"),
        Row("wiki:calculator", "/library/calculators/test-rows/"),
        Row("wiki:calculator", "/library/calculators/test-rows/?rows=0", status=422),
        Row("search:index", "/search/"),
        Row("search:index", "/search/?q=fine+tuning"),
        Row("search:index", "/search/?q=catastrofic+zebra"),
        Row("search:missed", "/search/missed/"),
        Row("assessments:index", "/decide/"),
        Row("assessments:checklist", "/decide/should-we-fine-tune/"),
        Row("assessments:detail", reverse("assessments:detail", args=[assessment.pk])),
        Row("assessments:detail", reverse("assessments:detail", args=[accepted.assessment_id])),
        Row("decisions:index", "/decisions/"),
        Row("decisions:detail", accepted.get_absolute_url()),
        Row("decisions:detail", draft.get_absolute_url()),
        Row("decisions:edit", reverse("decisions:edit", args=[draft.number])),
        Row("jobs:index", "/jobs/"),
        Row("jobs:choose", "/jobs/choose/"),
        Row("jobs:new", f"/jobs/new/?decision={accepted.number}"),
        Row("jobs:workers", "/jobs/workers/"),
        Row("jobs:detail", running.get_absolute_url()),
        Row("jobs:detail", reported.get_absolute_url()),
        Row("jobs:rows", reverse("jobs:rows", args=[reported.pk])),
        Row("outcomes:index", "/outcomes/"),
        Row("outcomes:new", reverse("outcomes:new", args=[reported.pk])),
        Row("datasets:index", "/datasets/"),
        Row("datasets:new", reverse("datasets:new", args=[full.slug])),
        Row("datasets:detail", dataset.get_absolute_url()),
        Row("datasets:new_version", reverse("datasets:new_version", args=[dataset.pk])),
        Row("usecases:index", "/use-cases/"),
        Row("usecases:new", "/use-cases/new/"),
        Row("usecases:detail", full.get_absolute_url()),
        Row("usecases:detail", empty.get_absolute_url()),
        Row("accounts:login", "/account/login/", who=""),
        Row("", "/library/train/no-such-article/", status=404),
        Row("", "/search/missed/", status=403, who="bob"),
    )
