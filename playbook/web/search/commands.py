"""What people do here, so that the palette finds it by its name: "new job", "my sign-offs", "log out"."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.urls import reverse

from playbook.library.search_documents import PUBLIC, Document

COMMAND = "command"
#: The group of what only staff may find.
STAFF = "staff"


@dataclass(frozen=True)
class Command:
    """`words`: other names that people look for. `post`: the fields of a command that changes something; its address
    is then posted to, with the reader's CSRF token, and `next` becomes the page they are on. None: a page."""

    key: str
    title: str
    url_name: str
    summary: str
    words: str = ""
    post: Mapping[str, str] | None = None
    group: str = PUBLIC
    suggested: bool = False

    @property
    def url(self) -> str:
        return reverse(self.url_name)


_PAGES = (
    Command(
        "new-job",
        "New job",
        "jobs:choose",
        "Launch a run from a decision or a recipe.",
        "start run train launch tune",
        suggested=True,
    ),
    Command(
        "start-checklist",
        "Start a checklist",
        "assessments:index",
        "Answer questions about your use case.",
        "decide assessment questions new",
        suggested=True,
    ),
    Command(
        "sign-offs",
        "My sign-offs",
        "decisions:index",
        "Decisions that wait for your signature.",
        "sign signature signatures approve approvals waiting",
        suggested=True,
    ),
    Command("decisions", "Decisions", "decisions:index", "The decision log.", "log records adr madr"),
    Command("jobs", "Jobs", "jobs:index", "Running, waiting and ended runs.", "runs queue", suggested=True),
    Command(
        "workers",
        "Workers",
        "jobs:workers",
        "Machines that take jobs, and how to attach one.",
        "gpu machines attach online",
    ),
    Command("library", "Library", "wiki:index", "All areas and articles.", "wiki articles docs"),
    Command(
        "glossary", "Glossary", "wiki:glossary", "The words used here, each defined once.", "words terms definitions"
    ),
    Command(
        "calculators",
        "Calculators",
        "wiki:calculators",
        "Memory, break-even and test rows.",
        "memory lora vram cost break-even test rows how many",
    ),
    Command(
        "base-models",
        "Base models",
        "wiki:models",
        "What a run may start from, with sizes, licences and memory.",
        "llm llama qwen smollm mistral small open licence choose compare",
    ),
    Command(
        "review-queue",
        "Review queue",
        "wiki:review",
        "Articles that are due for review.",
        "stale outdated overdue freshness flags",
    ),
    Command("new-use-case", "New use case", "usecases:new", "What your team wants from a model.", "create project add"),
    Command(
        "use-cases",
        "Use cases",
        "usecases:index",
        "Your team's use cases and who belongs to them.",
        "projects members team",
    ),
    Command(
        "datasets", "Datasets", "datasets:index", "The shipped samples and your own.", "data upload examples jsonl"
    ),
    Command("outcomes", "Outcomes", "outcomes:index", "What came of the decisions.", "results lessons reviews"),
    Command(
        "missed",
        "Missed searches",
        "search:missed",
        "What readers looked for and did not find.",
        "things to write",
        group=STAFF,
    ),
)
_THEME_SUMMARY = "Change how these pages look, on this device."
_CHANGES = (
    Command("theme-light", "Light theme", "theme", _THEME_SUMMARY, "appearance mode", {"theme": "light", "next": ""}),
    Command("theme-dark", "Dark theme", "theme", _THEME_SUMMARY, "appearance mode", {"theme": "dark", "next": ""}),
    Command("theme-system", "System theme", "theme", _THEME_SUMMARY, "appearance mode", {"theme": "", "next": ""}),
    Command("log-out", "Log out", "accounts:logout", "End this session.", "logout sign out leave exit", {}),
)
COMMANDS: Mapping[str, Command] = {command.key: command for command in (*_PAGES, *_CHANGES)}


def documents() -> list[Document]:
    """Return the commands as the index takes them."""
    return [
        Document(
            kind=COMMAND,
            key=command.key,
            title=command.title,
            summary=command.summary,
            labels=command.words,
            group=command.group,
        )
        for command in COMMANDS.values()
    ]
