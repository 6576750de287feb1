"""Home: what needs you, and where to begin."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from playbook.web.common.content import library
from playbook.web.common.panels import panels_for
from playbook.web.usecases.models import UseCase
from playbook.web.usecases.permissions import signed_in

#: Where the loop starts.
FIRST_ARTICLE = "decide/when-fine-tuning-pays-off"


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    user = signed_in(request)
    content = library()
    context = {
        "panels": panels_for("home", None, user),
        "use_cases": UseCase.objects.for_member(user),
        "first_article": content.articles.get(FIRST_ARTICLE),
        "areas": content.areas,
        "checklists": content.checklists.values(),
    }
    return render(request, "home/home.html", context)
