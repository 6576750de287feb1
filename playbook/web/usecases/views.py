"""Pages of use cases: list, new, one with its team."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from playbook.contracts.roles import SIGNING_ROLES, Role
from playbook.web.common.panels import panels_for
from playbook.web.common.permissions import Conflict
from playbook.web.usecases import actions
from playbook.web.usecases.forms import DelegationForm, MemberForm, UseCaseForm
from playbook.web.usecases.models import UseCase, may_write
from playbook.web.usecases.permissions import get_use_case, require_role, signed_in


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    use_cases = UseCase.objects.for_member(signed_in(request)).select_related("created_by")
    return render(request, "usecases/use_case_list.html", {"use_cases": use_cases})


@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    form = UseCaseForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        use_case = actions.create_use_case(
            name=form.cleaned_data["name"],
            description=form.cleaned_data["description"],
            created_by=signed_in(request),
            members=form.members(),
        )
        return redirect(use_case)
    return render(request, "usecases/use_case_form.html", {"form": form}, status=422 if form.errors else 200)


@require_safe
def detail(request: HttpRequest, slug: str) -> HttpResponse:
    user = signed_in(request)
    use_case = get_use_case(user, slug)
    return render(request, "usecases/use_case_detail.html", _detail_context(use_case, request, MemberForm()))


@require_POST
def add_member(request: HttpRequest, slug: str) -> HttpResponse:
    user = signed_in(request)
    use_case = get_use_case(user, slug)
    require_role(user, use_case, [Role.OWNER])
    form = MemberForm(request.POST)
    if not form.is_valid():
        return render(request, "usecases/use_case_detail.html", _detail_context(use_case, request, form), status=422)
    try:
        actions.add_member(use_case, user=form.cleaned_data["user"], role=Role(form.cleaned_data["role"]), actor=user)
    except Conflict as conflict:
        messages.error(request, str(conflict))
    return redirect(use_case)


@require_POST
def remove_member(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    user = signed_in(request)
    use_case = get_use_case(user, slug)
    require_role(user, use_case, [Role.OWNER])
    try:
        actions.remove_member(get_object_or_404(use_case.memberships, pk=pk), actor=user)
    except Conflict as conflict:
        messages.error(request, str(conflict))
    return redirect(use_case)


@require_POST
def delegate(request: HttpRequest, slug: str) -> HttpResponse:
    """Let a colleague sign for the signed-in holder of a signing role."""
    user = signed_in(request)
    use_case = get_use_case(user, slug)
    roles = require_role(user, use_case, SIGNING_ROLES)
    form = DelegationForm(request.POST, use_case=use_case, giver=user, roles=sorted(roles & SIGNING_ROLES))
    if not form.is_valid():
        context = _detail_context(use_case, request, MemberForm(), delegation_form=form)
        return render(request, "usecases/use_case_detail.html", context, status=422)
    given = form.cleaned_data
    try:
        actions.delegate_role(
            use_case, role=Role(given["role"]), delegate=given["delegate"], until=given["until"], actor=user
        )
    except Conflict as conflict:
        messages.error(request, str(conflict))
    return redirect(use_case)


@require_POST
def revoke_delegation(request: HttpRequest, slug: str, pk: int) -> HttpResponse:
    """Take a delegation back: whoever gave it may, and an owner of the use case."""
    user = signed_in(request)
    use_case = get_use_case(user, slug)
    delegation = get_object_or_404(use_case.delegations.select_related("delegate", "use_case"), pk=pk)
    if delegation.delegator_id != user.pk:
        require_role(user, use_case, [Role.OWNER])
    try:
        actions.revoke_delegation(delegation, actor=user)
    except Conflict as conflict:
        messages.error(request, str(conflict))
    return redirect(use_case)


def _detail_context(
    use_case: UseCase, request: HttpRequest, form: MemberForm, *, delegation_form: DelegationForm | None = None
) -> dict[str, object]:
    user = signed_in(request)
    roles = use_case.roles_of(user)
    signing = sorted(roles & SIGNING_ROLES)
    if signing and delegation_form is None:
        delegation_form = DelegationForm(use_case=use_case, giver=user, roles=signing)
    return {
        "use_case": use_case,
        "memberships": use_case.memberships.select_related("user"),
        "delegations": use_case.delegations.in_force().select_related("delegator", "delegate"),
        "delegation_form": delegation_form,
        "is_owner": Role.OWNER in roles,
        "may_write": may_write(roles),
        "member_form": form,
        "panels": panels_for("use_case", use_case, user),
    }
