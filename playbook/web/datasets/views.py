"""Pages of datasets: list, one with its rows, the rows behind a check, what changed between two versions."""

from typing import Any
from urllib.parse import urlencode

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe
from django.views.decorators.vary import vary_on_headers

from playbook.contracts.dataset import Split
from playbook.contracts.metrics import MetricSettings
from playbook.datasets.rows import Query
from playbook.scoring.words import METRIC_NAMES
from playbook.web.common.panels import panels_for
from playbook.web.common.requests import HtmxRequest, wants_fragment
from playbook.web.datasets import actions, imports, queries
from playbook.web.datasets.metric_form import MetricForm
from playbook.web.datasets.models import DocumentSet
from playbook.web.usecases.models import UseCase, may_write
from playbook.web.usecases.permissions import require_role, signed_in


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    user = signed_in(request)
    context = {
        "datasets": queries.visible_datasets(user),
        "use_cases": UseCase.objects.for_member(user),
        "imports": [(made, imports.state_of(made.pk)) for made in queries.open_imports(user)],
        "document_sets": DocumentSet.objects.visible_to(user),
    }
    return render(request, "datasets/dataset_list.html", context)


@require_safe
@vary_on_headers("HX-Request")
def detail(request: HtmxRequest, pk: int) -> HttpResponse:
    user = signed_in(request)
    dataset = queries.get_dataset(user, pk)
    version = queries.version_of(dataset, request.GET.get("version", ""))
    files = {file.split: file for file in version.files.all()}
    file = files.get(request.GET.get("split", ""), files[Split.TRAIN])
    query = Query(*(request.GET.get(name, "")[:200] for name in ("q", "field", "value")))
    context: dict[str, Any] = {
        "dataset": dataset,
        "version": version,
        "query": query,
        "query_string": urlencode({"q": query.text, "field": query.field, "value": query.value}),
    }
    if query:
        context["found"] = queries.search_page(file, query, after=whole_number(request, "after", default=0))
    else:
        context["found"] = queries.row_page(file, whole_number(request, "page", default=1))
    if wants_fragment(request):
        return render(request, "datasets/_rows.html", context)
    report = queries.report_of(version)
    use_case = dataset.use_case
    context["shown"] = queries.shown_report(report) if report else None
    context["panels"] = panels_for("dataset", version, user)
    context["check_url"] = "datasets:check"
    chosen = dataset.metric_settings
    context["metric_names"] = [METRIC_NAMES[metric] for metric in chosen.metrics] if chosen else []
    context["may_add_version"] = use_case is not None and may_write(use_case.roles_of(user))
    return render(request, "datasets/dataset_detail.html", context)


@require_safe
def check(request: HttpRequest, pk: int, code: str) -> HttpResponse:
    dataset = queries.get_dataset(signed_in(request), pk)
    version = queries.version_of(dataset, request.GET.get("version", ""))
    report = queries.report_of(version)
    if report is None:
        return render(request, "404.html", status=404)
    page = queries.check_page(report, code, queries.paths_of(version), whole_number(request, "page", default=1))
    context = {"found": page, "back_to": version, "owner": dataset, "query": f"version={version.number}&"}
    return render(request, "datasets/dataset_check.html", context)


@require_safe
def changes(request: HttpRequest, pk: int) -> HttpResponse:
    dataset = queries.get_dataset(signed_in(request), pk)
    after = queries.version_of(dataset, request.GET.get("after", ""))
    before = queries.version_of(dataset, request.GET.get("before", "") or str(max(1, after.number - 1)))
    context = {
        "dataset": dataset,
        "before": before,
        "after": after,
        "splits": queries.version_diff(before, after),
        "versions": dataset.versions.all(),
    }
    return render(request, "datasets/dataset_changes.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def metric(request: HttpRequest, pk: int) -> HttpResponse:
    """Choose what makes an answer right; jobs on this dataset are launched with it."""
    user = signed_in(request)
    dataset = queries.get_dataset(user, pk)
    if dataset.use_case is None:
        raise PermissionDenied("Samples come with the site. Choose the metric on a dataset of your own.")
    require_role(user, dataset.use_case)
    answers = queries.expected_answers(queries.version_of(dataset, ""))
    form = MetricForm(dataset.metric_settings or MetricSettings(), answers, request.POST or None)
    if request.method == "POST" and form.is_valid():
        actions.choose_metric(dataset, form.settings(), actor=user)
        return redirect(dataset)
    context = {"dataset": dataset, "form": form, "answers": answers[:3], "checked": len(answers)}
    return render(request, "datasets/dataset_metric.html", context, status=422 if request.method == "POST" else 200)


def whole_number(request: HttpRequest, name: str, *, default: int) -> int:
    """Return a number of the query string; anything else, and what no file is long enough for, is the default."""
    value = request.GET.get(name, "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else default
