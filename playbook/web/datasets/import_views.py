"""Pages of an import: bring rows, watch them being read, see what was found, change how they are read, store them."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.core.exceptions import PermissionDenied
from django.forms import BaseForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe
from django.views.decorators.vary import vary_on_headers

from playbook.datasets.spec import DISK_FULL, Order, Report
from playbook.web.common.permissions import Conflict
from playbook.web.common.requests import HtmxRequest, wants_fragment
from playbook.web.common.uploads import takes_files
from playbook.web.datasets import actions, imports, queries
from playbook.web.datasets.forms import CardForm, OneFileForm, PasteForm, PlanForm, ThreeFilesForm, mapping_forms
from playbook.web.datasets.models import DatasetImport
from playbook.web.datasets.views import whole_number
from playbook.web.usecases.permissions import get_use_case, require_role, signed_in


@takes_files(3)
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest, use_case: str) -> HttpResponse:
    user = signed_in(request)
    belongs_to = get_use_case(user, use_case)
    require_role(user, belongs_to)
    card, brought = CardForm(request.POST or None), _Brought(request)
    if request.method == "POST" and card.is_valid() and brought.is_valid():
        uploads = brought.chosen.uploads()
        with _full_disk_told_on(brought.chosen):
            return redirect(
                actions.start_import(use_case=belongs_to, uploads=uploads, created_by=user, card=card.card())
            )
    context = {"use_case": belongs_to, "card_form": card, "brought": brought}
    return render(request, "datasets/dataset_form.html", context, status=422 if request.method == "POST" else 200)


@takes_files(3)
@require_http_methods(["GET", "HEAD", "POST"])
def new_version(request: HttpRequest, pk: int) -> HttpResponse:
    user = signed_in(request)
    dataset = queries.get_dataset(user, pk)
    if dataset.use_case is None:
        raise PermissionDenied("Samples come with the site. Upload a dataset of your own in one of your use cases.")
    require_role(user, dataset.use_case)
    brought = _Brought(request)
    if request.method == "POST" and brought.is_valid():
        uploads = brought.chosen.uploads()
        with _full_disk_told_on(brought.chosen):
            return redirect(
                actions.start_import(
                    use_case=dataset.use_case,
                    uploads=uploads,
                    created_by=user,
                    dataset=dataset,
                    before=queries.last_order(dataset),
                )
            )
    context = {"dataset": dataset, "use_case": dataset.use_case, "brought": brought}
    return render(request, "datasets/dataset_form.html", context, status=422 if request.method == "POST" else 200)


@require_safe
@vary_on_headers("HX-Request")
def detail(request: HtmxRequest, pk: int) -> HttpResponse:
    made = _get_writable(request, pk)
    if made.version is not None:
        return redirect(made.version)
    state = imports.state_of(made.pk)
    context = {"made": made, "state": state}
    if wants_fragment(request):
        if state.is_running:
            return render(request, "datasets/_import_progress.html", context)
        return HttpResponse(headers={"HX-Refresh": "true"})
    return _page(request, made, state)


@require_POST
def change(request: HttpRequest, pk: int) -> HttpResponse:
    """Read the rows anew: with another mapping or split, without the bad rows, or as before after an interruption."""
    made = _get_writable(request, pk)
    state = imports.state_of(made.pk)
    report, what = state.report, request.POST.get("what", "")
    order = Order.model_validate(made.order)
    forms: dict[str, Any] = {}
    changes: dict[str, Any] = {}
    if what == "mapping" and report:
        forms["mapping_forms"] = every = mapping_forms(report, request.POST)
        form = next((form for form in every if form.is_bound), None)
        changes["mappings"] = form.mappings() if form and form.is_valid() else None
    elif what == "plan" and report:
        forms["plan_form"] = plan_form = PlanForm(order.plan, report.group_fields, request.POST)
        changes["plan"] = plan_form.plan() if plan_form.is_valid() else None
    elif what == "leave_out":
        changes["leave_out_bad_rows"] = True
    if None in changes.values():
        return _page(request, made, state, status=422, **forms)
    return _attempt(request, made, lambda: actions.change_import(made, actor=signed_in(request), **changes))


@require_POST
def store(request: HttpRequest, pk: int) -> HttpResponse:
    made = _get_writable(request, pk)
    if made.version is not None:  # the button was pressed twice
        return redirect(made.version)
    return _attempt(request, made, lambda: actions.store_import(made, actor=signed_in(request)))


@require_POST
def discard(request: HttpRequest, pk: int) -> HttpResponse:
    made = _get_writable(request, pk)
    return _attempt(request, made, lambda: actions.discard_import(made, actor=signed_in(request)))


@require_safe
def check(request: HttpRequest, pk: int, code: str) -> HttpResponse:
    made = _get_writable(request, pk)
    report = imports.state_of(made.pk).report
    if report is None:
        return render(request, "404.html", status=404)
    page = queries.check_page(report, code, queries.paths_in(made), whole_number(request, "page", default=1))
    return render(request, "datasets/dataset_check.html", {"found": page, "back_to": made, "owner": made})


class _Brought:
    """The part of the page that brings rows: which of the three ways, and its form."""

    def __init__(self, request: HttpRequest) -> None:
        data, files = (request.POST, request.FILES) if request.method == "POST" else (None, None)
        how = request.POST.get("how", "one")
        self.how = how if how in ("one", "paste", "three") else "one"
        self.one = OneFileForm(*((data, files) if self.how == "one" else ()))
        self.paste = PasteForm(*((data, files) if self.how == "paste" else ()))
        self.three = ThreeFilesForm(*((data, files) if self.how == "three" else ()))

    @property
    def chosen(self) -> OneFileForm | PasteForm | ThreeFilesForm:
        if self.how == "paste":
            return self.paste
        return self.three if self.how == "three" else self.one

    def is_valid(self) -> bool:
        return self.chosen.is_valid()


@contextmanager
def _full_disk_told_on(form: BaseForm) -> Iterator[None]:
    """Say on the form that the site's disk is full; what was stored before stays as it was."""
    try:
        yield
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        form.add_error(
            None, "The disk of the site is full, so nothing was stored. Ask its administrator to free some space."
        )


def _get_writable(request: HttpRequest, pk: int) -> DatasetImport:
    user = signed_in(request)
    made = queries.get_import(user, pk)
    require_role(user, made.use_case)
    return made


def _page(
    request: HttpRequest, made: DatasetImport, state: imports.ImportState, *, status: int = 200, **more: Any
) -> HttpResponse:
    context: dict[str, Any] = {"made": made, "state": state, **_found(made, state.report), **more}
    return render(request, "datasets/dataset_import.html", context, status=status)


def _found(made: DatasetImport, report: Report | None) -> Mapping[str, Any]:
    """Return what the page shows of an import that has ended with a report."""
    if report is None:
        return {}
    order = Order.model_validate(made.order)
    leaving_helps = report.refused and not report.is_broken and report.left_out > 0 and report.rows > 0
    # Refused rows may be refused because of the field that they are grouped by, which has to be changed then.
    may_split = not order.sources[0].split and (not report.refused or bool(order.plan.group_field))
    return {
        "shown": queries.shown_report(report),
        "check_url": "datasets:import_check",
        "mapping_forms": mapping_forms(report),
        "plan_form": PlanForm(order.plan, report.group_fields) if may_split else None,
        "may_leave_out": leaving_helps and not order.leave_out_bad_rows,
    }


def _attempt(request: HttpRequest, made: DatasetImport, write: Any) -> HttpResponse:
    """Do the write and go on to what came of it; a conflict is told on the page of the import."""
    try:
        write()
    except Conflict as conflict:
        return _page(request, made, imports.state_of(made.pk), status=409, conflict=str(conflict))
    made.refresh_from_db()
    if made.ended_at and made.version is None:
        return redirect("datasets:index")
    return redirect(made.version or made)
