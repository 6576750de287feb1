"""The page of base models: what `content/models.yaml` lists, sorted by any column. The address holds the order."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.text import slugify
from django.views.decorators.http import require_safe

from playbook.contracts.run_spec import Recipe
from playbook.library.catalog import REFERENCE_BATCH, REFERENCE_RANK, REFERENCE_TOKENS, BaseModelEntry
from playbook.web.common.content import library

DEFAULT_SORT = "parameters"
STATUSES = ("active", "superseded", "retired")


@dataclass(frozen=True)
class Column:
    """`key` sorts the models by this column, the smallest first; None where a model has no such value."""

    name: str
    label: str
    number: bool
    key: Callable[[BaseModelEntry], float | str | None]


COLUMNS = (
    Column("title", "Model", False, lambda model: model.title.casefold()),
    Column("parameters", "Parameters", True, lambda model: model.parameters),
    Column("lora", "LoRA", True, lambda model: model.lora_bytes),
    Column("qlora", "QLoRA", True, lambda model: model.qlora_bytes),
    Column("context", "Context", True, lambda model: model.context_length),
    Column("licence", "Licence", False, lambda model: model.licence.casefold()),
    Column("template", "Chat template", False, lambda model: (model.chat_template or "").casefold() or None),
    Column("status", "Status", False, lambda model: STATUSES.index(model.status)),
)


@require_safe
def base_models(request: HttpRequest) -> HttpResponse:
    """List the base models. `?sort=parameters` puts the smallest first, `?sort=-parameters` the largest."""
    sort = request.GET.get("sort", DEFAULT_SORT)
    column = next((column for column in COLUMNS if column.name == sort.removeprefix("-")), None)
    if column is None:
        raise BadRequest(f"cannot sort by {sort[:40]!r}; there are {', '.join(column.name for column in COLUMNS)}")
    content = library()
    models = sorted_by(column, content.base_models, descending=sort.startswith("-"))
    context = {
        "columns": [_heading(one, sort) for one in COLUMNS],
        "rows": [_row(model, content.base_models, content.recipes) for model in models],
        "rank": REFERENCE_RANK,
        "batch": REFERENCE_BATCH,
        "tokens": REFERENCE_TOKENS,
    }
    return render(request, "wiki/model_list.html", context)


def sorted_by(
    column: Column, base_models: Mapping[str, BaseModelEntry], *, descending: bool = False
) -> list[BaseModelEntry]:
    """Return the models in the order of a column, equal ones by title; those without a value come last."""
    named = sorted(base_models.values(), key=lambda model: model.title.casefold())
    known = [model for model in named if column.key(model) is not None]
    return [
        *sorted(known, key=column.key, reverse=descending),  # type: ignore[arg-type]  # None was left out
        *(model for model in named if column.key(model) is None),
    ]


def anchor(model_id: str) -> str:
    """Return the id of a model's row: `Qwen/Qwen3-8B` → `qwen-qwen3-8b`."""
    return slugify(model_id.replace("/", "-").replace(".", "-"))


def _heading(column: Column, sort: str) -> dict[str, object]:
    direction = {column.name: "ascending", f"-{column.name}": "descending"}.get(sort, "")
    following = f"-{column.name}" if direction == "ascending" else column.name
    return {"column": column, "direction": direction, "url": f"?{urlencode({'sort': following})}"}


def _row(
    model: BaseModelEntry, base_models: Mapping[str, BaseModelEntry], recipes: Mapping[str, Recipe]
) -> dict[str, object]:
    return {
        "model": model,
        "anchor": anchor(model.id),
        "successor": base_models.get(model.superseded_by or ""),
        "successor_anchor": anchor(model.superseded_by or ""),
        "recipes": [recipe for recipe in recipes.values() if recipe.settings.base_model.id == model.id],
    }
