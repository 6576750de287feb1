"""Pages of document sets: bring one for a use case, and look at what is in it."""

from typing import Any

from django import forms
from django.conf import settings
from django.core.files.uploadedfile import UploadedFile
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from playbook.contracts.documents import BadDocuments
from playbook.web.common.uploads import takes_files
from playbook.web.datasets import document_sets
from playbook.web.datasets.document_sets import BroughtFile
from playbook.web.datasets.models import DocumentSet
from playbook.web.usecases.permissions import get_use_case, require_role, signed_in

DOCUMENTS_PER_PAGE = 20


class _ManyFiles(forms.ClearableFileInput):
    allow_multiple_selected = True


class _FilesField(forms.FileField):
    """Files within the size limit, all together."""

    def clean(self, data: Any, initial: Any = None) -> "list[UploadedFile[bytes]]":
        files = [super(_FilesField, self).clean(file, initial) for file in data or [None]]
        size, limit_mb = sum(file.size or 0 for file in files), settings.PLAYBOOK_MAX_UPLOAD_MB
        if size > limit_mb * 1_000_000:
            raise forms.ValidationError(
                f"The files have {size / 1_000_000:.1f} MB together; the limit is {limit_mb} MB. Leave out what no "
                "question is about, or ask the administrator to raise PLAYBOOK_MAX_UPLOAD_MB."
            )
        if len(files) > document_sets.MAX_FILES:
            raise forms.ValidationError(
                f"{len(files):,} files; bring at most {document_sets.MAX_FILES:,}, or one JSONL."
            )
        return files


class DocumentsForm(forms.Form):
    name = forms.CharField(max_length=120, help_text="What the documents are, and as of when.")
    brought = _FilesField(
        label="Files",
        allow_empty_file=True,
        widget=_ManyFiles(attrs={"accept": ",".join((*document_sets.JSON_LINES, *document_sets.PLAIN_TEXT))}),
        help_text="Text or Markdown files, each one document; or JSONL with id, title and text a line.",
        error_messages={"required": "Choose at least one file."},
    )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if "brought" in cleaned:
            try:
                # Before a byte is read: the limit of uploads may be far above what may be held here.
                document_sets.require_size(sum(file.size or 0 for file in cleaned["brought"]))
                files = [BroughtFile(file.name or "file", file.read()) for file in cleaned["brought"]]
                cleaned["documents"] = document_sets.documents_in(files)
            except BadDocuments as error:
                self.add_error("brought", f"{error}.")
        return cleaned


@takes_files(1)  # or many, of that size together
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest, use_case: str) -> HttpResponse:
    user = signed_in(request)
    belongs_to = get_use_case(user, use_case)
    require_role(user, belongs_to)
    form = DocumentsForm(request.POST, request.FILES) if request.method == "POST" else DocumentsForm()
    if form.is_bound and form.is_valid():
        try:
            return redirect(
                document_sets.add_document_set(
                    use_case=belongs_to,
                    name=form.cleaned_data["name"],
                    documents=form.cleaned_data["documents"],
                    created_by=user,
                )
            )
        except BadDocuments as error:
            form.add_error("brought", f"{error}.")
    context = {"use_case": belongs_to, "form": form}
    return render(request, "datasets/documents_form.html", context, status=422 if form.is_bound else 200)


@require_safe
def detail(request: HttpRequest, pk: int) -> HttpResponse:
    visible = DocumentSet.objects.visible_to(signed_in(request)).select_related("use_case", "created_by")
    made = get_object_or_404(visible, pk=pk)
    try:
        documents = document_sets.documents_of(made.sha256)
    except FileNotFoundError:
        raise Http404("the file of these documents is gone from the data folder") from None
    page = Paginator(documents, DOCUMENTS_PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "datasets/documents_detail.html", {"documents": made, "page": page})
