"""Every page of the site, one row each: what `test_every_page` and `test_every_page_in_browser` go through.

A new url pattern belongs into one of the three tables here; a test fails until it does.
"""

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from django.urls import URLPattern, URLResolver, get_resolver, reverse

from playbook.contracts.dataset import Split
from playbook.contracts.documents import Document
from playbook.contracts.prompting import PromptSettings, WrittenExample
from playbook.contracts.roles import Role
from playbook.web.accounts.models import User
from playbook.web.assessments.actions import start_assessment
from playbook.web.common.content import library
from playbook.web.datasets.actions import Card, add_version, create_dataset
from playbook.web.datasets.document_sets import add_document_set
from playbook.web.datasets.reading import read_three_files
from playbook.web.decisions import actions as decisions
from playbook.web.jobs.merging import request_merge
from playbook.web.outcomes.actions import record_outcome
from playbook.web.outcomes.models import Confirmation
from playbook.web.prompts.actions import create_prompt, save_version
from playbook.web.search.actions import record_missed
from playbook.web.usecases.actions import create_use_case
from playbook.web.wiki.actions import flag_article
from tests.web import decided
from tests.web.assessments.filled import measured_by, one_version_behind, talked_about
from tests.web.datasets.conftest import CARD, jsonl, read_import
from tests.web.jobs.busy import busy_job, predicted_job
from tests.web.jobs.ended import claimed_job, succeeded_job
from tests.web.jobs.factories import make_job
from tests.web.jobs.measured import rated_job
from tests.web.jobs.talked import talked
from tests.web.jobs.trials import measured_prompt
from tests.web.wiki.every_block import ARTICLE, BLOCKS, PICTURE

#: Versions of a prompt, and which of the validation rows each got right.
PROMPTS = (
    (PromptSettings(system="Answer with the four fields as JSON."), [False]),
    (
        PromptSettings(
            system="Answer with the four fields as one line of JSON.",
            examples=(WrittenExample(user="The printer burns.", assistant='{"queue": "hardware", "urgent": true}'),),
        ),
        [True],
    ),
)
#: A name without a blank, wider than a phone.
LONG_WORD = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft"
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
    "jobs:export": "CSV, JSON or Markdown",
    "decisions:markdown": "Markdown",
    "assessments:schema": "JSON Schema",
    "assessments:changes": "the parts of an assessment that others changed",
    "assessments:evidence_file": "a file",
    "decisions:csv": "CSV",
    "decisions:json": "JSON",
    "decisions:bundle": "a zip",
}
#: url names that only write.
POSTS = frozenset(
    {
        "accounts:logout",
        "assessments:add_evidence",
        "assessments:answer",
        "assessments:assign",
        "assessments:end_assignment",
        "assessments:measure",
        "assessments:move",
        "assessments:remark",
        "assessments:remove_evidence",
        "assessments:start",
        "datasets:change_import",
        "datasets:discard_import",
        "datasets:store_import",
        "decisions:deprecate",
        "decisions:draft",
        "decisions:measure",
        "decisions:propose",
        "decisions:reopen",
        "decisions:sign",
        "decisions:supersede",
        "decisions:withdraw",
        "jobs:cancel",
        "jobs:close_playground",
        "jobs:merge",
        "jobs:stop_answer",
        "search:missing",
        "theme",
        "usecases:add_member",
        "usecases:delegate",
        "usecases:revoke_delegation",
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
    empty = create_use_case(name=LONG_WORD, description="", created_by=erin, members={})
    foretold = {"forecast_probability": Decimal("0.7"), "forecast_value": Decimal("0.85"), "budget_gpu_minutes": 90}
    accepted = decided.accepted(full, author=erin, ml_lead=bob, product_owner=charlie, **foretold)
    draft = decisions.draft_from_assessment(decided.assessed(full, erin), created_by=erin)
    assessment = start_assessment(
        use_case=full, checklist=library().checklists["should-we-fine-tune"], article="", created_by=erin
    )
    every_kind, outdated = talked_about(full, erin, bob), one_version_behind(full, erin)
    running, starting = busy_job(full, erin), claimed_job(full, erin).job
    for seconds in (90.0, 110.0, 160.0):
        predicted_job(full, erin, seconds=seconds)
    reported, recorded = (succeeded_job(full, erin, decision=accepted) for _ in range(2))
    measured_by(reported, every_kind, erin)
    five = rated_job(full, erin, raters=[erin, bob])
    make_job(full, erin)
    record_outcome(
        recorded, confirmation=Confirmation.ADOPTED, lessons="Forty steps were enough; labels matter.", actor=erin
    )
    splits = {split: jsonl(f"{split} row") for split in Split}
    dataset = create_dataset(use_case=full, card=Card(**CARD), splits=read_three_files(splits), created_by=erin)
    add_version(dataset, splits=read_three_files({**splits, Split.TRAIN: jsonl("a", "b", "b")}), created_by=erin)
    documents = add_document_set(
        use_case=full,
        name="Refund rules, May",
        documents=[Document(id="refunds", title="Refunds", text="A refund comes within thirty days.")],
        created_by=erin,
    )
    prompt = create_prompt(use_case=full, name="Ticket to four fields", created_by=erin)
    for settings, right in PROMPTS:
        version = save_version(prompt, settings=settings, note="Shorter answers", author=erin)
        measured_prompt(version, dataset, erin, right, base_model="smollm2-135m-instruct")
    talk = talked(full, erin, reported)
    merge = request_merge(reported, actor=erin)
    good, bad = read_import(full, erin, jsonl(*"abcdefgaa")), read_import(full, erin, jsonl("a") + b"oops\n")
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
        Row("assessments:table", "/decide/should-we-fine-tune/table/"),
        Row("assessments:detail", every_kind.get_absolute_url()),
        Row("assessments:newer", reverse("assessments:newer", args=[outdated.pk])),
        Row("assessments:newer", reverse("assessments:newer", args=[assessment.pk])),
        Row("assessments:question", reverse("assessments:question", args=[every_kind.pk, "goal"])),
        Row("assessments:question", reverse("assessments:question", args=[every_kind.pk, "fits"])),
        Row("decisions:index", "/decisions/"),
        Row("decisions:detail", accepted.get_absolute_url()),
        Row("decisions:detail", draft.get_absolute_url()),
        Row("decisions:edit", reverse("decisions:edit", args=[draft.number])),
        Row("jobs:index", "/jobs/"),
        Row("jobs:choose", "/jobs/choose/"),
        Row("jobs:new", f"/jobs/new/?decision={accepted.number}"),
        Row("jobs:new", f"/jobs/new/?clone={reported.pk}&max_steps=7"),
        Row("jobs:workers", "/jobs/workers/"),
        Row("jobs:predictions", "/jobs/predictions/"),
        Row("jobs:compare", f"/jobs/compare/?jobs={running.pk},{reported.pk},{recorded.pk}"),
        Row("jobs:compare", "/jobs/compare/"),
        Row("jobs:samples", reverse("jobs:samples", args=[running.pk])),
        Row("jobs:detail", running.get_absolute_url()),
        Row("jobs:detail", starting.get_absolute_url()),
        Row("jobs:detail", reported.get_absolute_url()),
        Row("jobs:rows", reverse("jobs:rows", args=[reported.pk])),
        Row("jobs:rows", f"{reverse('jobs:rows', args=[five.pk])}?show=cut&arm=few_shot"),
        Row("jobs:row", reverse("jobs:row", args=[five.pk, 3])),
        Row("jobs:report", reverse("jobs:report", args=[reported.pk])),
        Row("jobs:report", reverse("jobs:report", args=[five.pk])),
        Row("jobs:report_print", reverse("jobs:report_print", args=[five.pk])),
        Row("jobs:blind", reverse("jobs:blind", args=[five.pk])),
        Row("jobs:compare", f"/jobs/compare/?jobs={five.pk},{reported.pk}"),
        Row("outcomes:index", "/outcomes/"),
        Row("outcomes:calibration", "/outcomes/calibration/"),
        Row("outcomes:new", reverse("outcomes:new", args=[reported.pk])),
        Row("datasets:index", "/datasets/"),
        Row("datasets:new", reverse("datasets:new", args=[full.slug])),
        Row("datasets:detail", dataset.get_absolute_url()),
        Row("datasets:detail", f"{dataset.get_absolute_url()}?q=nothing"),
        Row("datasets:check", reverse("datasets:check", args=[dataset.pk, "duplicate"])),
        Row("datasets:metric", reverse("datasets:metric", args=[dataset.pk])),
        Row("datasets:changes", reverse("datasets:changes", args=[dataset.pk])),
        Row("datasets:documents", documents.get_absolute_url()),
        Row("datasets:new_documents", reverse("datasets:new_documents", args=[full.slug])),
        Row("datasets:import", good.get_absolute_url()),
        Row("datasets:import", bad.get_absolute_url()),
        Row("datasets:import_check", reverse("datasets:import_check", args=[good.pk, "duplicate"])),
        Row("datasets:new_version", reverse("datasets:new_version", args=[dataset.pk])),
        Row("prompts:index", "/prompts/"),
        Row("prompts:new", reverse("prompts:new", args=[full.slug])),
        Row("prompts:workbench", prompt.get_absolute_url()),
        Row("prompts:version", reverse("prompts:version", args=[prompt.pk, 2])),
        Row("jobs:measure_prompt", reverse("jobs:measure_prompt", args=[prompt.pk])),
        Row("jobs:new_playground", f"/jobs/playground/new/?job={reported.pk}"),
        Row("jobs:new_playground", f"/jobs/playground/new/?use_case={full.slug}"),
        Row("jobs:playground", talk.job.get_absolute_url()),
        Row("jobs:merged", merge.job.get_absolute_url()),
        Row("jobs:save_turn", reverse("jobs:save_turn", args=[talk.job_id, 1])),
        Row("usecases:index", "/use-cases/"),
        Row("usecases:new", "/use-cases/new/"),
        Row("usecases:detail", full.get_absolute_url()),
        Row("usecases:detail", empty.get_absolute_url()),
        Row("accounts:login", "/account/login/", who=""),
        Row("", "/library/train/no-such-article/", status=404),
        Row("", "/search/missed/", status=403, who="bob"),
    )
