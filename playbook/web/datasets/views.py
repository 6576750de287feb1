"""Pages of datasets: list, one with its rows, upload of a new one or a new version."""

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_safe
from django.views.decorators.vary import vary_on_headers

from playbook.contracts.dataset import Split
from playbook.web.common.requests import HtmxRequest, wants_fragment
from playbook.web.datasets import actions
from playbook.web.datasets.forms import CardForm, OneFileForm, ThreeFilesForm
from playbook.web.datasets.queries import get_dataset, row_page, version_of, visible_datasets
from playbook.web.datasets.reading import MAX_LISTED, BadDataset, Splits
from playbook.web.usecases.models import UseCase, may_write
from playbook.web.usecases.permissions import get_use_case, require_role, signed_in


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    user = signed_in(request)
    context = {"datasets": visible_datasets(user), "use_cases": UseCase.objects.for_member(user)}
    return render(request, "datasets/dataset_list.html", context)


@require_safe
@vary_on_headers("HX-Request")
def detail(request: HtmxRequest, pk: int) -> HttpResponse:
    user = signed_in(request)
    dataset = get_dataset(user, pk)
    version = version_of(dataset, request.GET.get("version", ""))
    files = {file.split: file for file in version.files.all()}
    file = files.get(request.GET.get("split", ""), files[Split.TRAIN])
    page = request.GET.get("page", "1")
    context = {
        "dataset": dataset,
        "version": version,
        "rows": row_page(file, int(page) if page.isdecimal() and len(page) < 10 else 1),
    }
    if wants_fragment(request):
        return render(request, "datasets/_rows.html", context)
    use_case = dataset.use_case
    context["may_add_version"] = use_case is not None and may_write(use_case.roles_of(user))
    return render(request, "datasets/dataset_detail.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest, use_case: str) -> HttpResponse:
    user = signed_in(request)
    belongs_to = get_use_case(user, use_case)
    require_role(user, belongs_to)
    card = CardForm(request.POST or None)
    upload = _Upload(request)
    if request.method == "POST" and card.is_valid() and (splits := upload.read()):
        return redirect(actions.create_dataset(use_case=belongs_to, card=card.card(), splits=splits, created_by=user))
    context = {"use_case": belongs_to, "card_form": card, "upload": upload}
    return render(request, "datasets/dataset_form.html", context, status=422 if request.method == "POST" else 200)


@require_http_methods(["GET", "HEAD", "POST"])
def new_version(request: HttpRequest, pk: int) -> HttpResponse:
    user = signed_in(request)
    dataset = get_dataset(user, pk)
    if dataset.use_case is None:
        raise PermissionDenied("Samples come with the site. Upload a dataset of your own in one of your use cases.")
    require_role(user, dataset.use_case)
    upload = _Upload(request)
    if request.method == "POST" and (splits := upload.read()):
        return redirect(actions.add_version(dataset, splits=splits, created_by=user))
    context = {"dataset": dataset, "use_case": dataset.use_case, "upload": upload}
    return render(request, "datasets/dataset_form.html", context, status=422 if request.method == "POST" else 200)


class _Upload:
    """The part of the page that brings rows: which of the two ways, its form, and what was wrong with the rows."""

    def __init__(self, request: HttpRequest) -> None:
        data, files = (request.POST, request.FILES) if request.method == "POST" else (None, None)
        self.how = "three" if request.POST.get("how") == "three" else "one"
        self.one = OneFileForm(*((data, files) if self.how == "one" else ()))
        self.three = ThreeFilesForm(*((data, files) if self.how == "three" else ()))
        self.refused: BadDataset | None = None
        self.max_listed = MAX_LISTED

    def read(self) -> Splits | None:
        """Return the splits, or None after noting why there are none."""
        form = self.one if self.how == "one" else self.three
        if not form.is_valid():
            return None
        try:
            return form.read()
        except BadDataset as bad:
            self.refused = bad
            return None
