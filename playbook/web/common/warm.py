"""What a process that serves the site does before its first request. Called by `wsgi`, once in each process."""

import gc
from pathlib import Path

from django.template import engines
from django.template.loader import get_template
from django.urls import reverse

from playbook.web.common.content import library


def warm_up() -> None:
    """Load addresses, content and templates, and set all that lives by then aside from the garbage collector.

    Python's full collection walks every object. Code, content and templates are about 180,000 of them, which takes 100
    to 250 ms, and it strikes whichever request crosses the threshold: about one in fifteen of the long lists. They live
    as long as the process, so they need not be walked: after `gc.freeze` a full collection walks what requests have
    left alone. What was made in between is collected first, or it would be kept for good.
    """
    reverse("home:home")  # one address needs all: the views of every app are imported with theirs
    library()
    for name in template_names():
        get_template(name)
    gc.collect()
    gc.freeze()


def template_names() -> list[str]:
    """Return every template of the site as pages name it: `jobs/job_list.html`."""
    folders = [Path(folder) for folder in engines["django"].template_dirs]
    files = [(folder, file) for folder in folders for file in folder.rglob("*.*")]
    return sorted(str(file.relative_to(folder)) for folder, file in files)
