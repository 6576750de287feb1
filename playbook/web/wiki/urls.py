"""`/library/`: areas, articles, the Markdown and history behind each, reviews, calculators, feeds.

Articles are read most, so they come as early as the addresses allow that look like theirs: no area can be called
"review", "tags" or "calculators".
"""

from django.urls import path

from playbook.web.wiki import (
    calculator_views,
    evidence_views,
    feed_views,
    history_views,
    model_views,
    trust_views,
    views,
)

app_name = "wiki"
urlpatterns = [
    path("tags/<slug:tag>/", views.tag, name="tag"),
    path("calculators/<slug:name>/", calculator_views.detail, name="calculator"),
    path("evidence/<str:claim_id>/", evidence_views.evidence, name="evidence"),
    path("<slug:area_slug>/<slug:slug>/", views.article, name="article"),
    path("<slug:area_slug>/<slug:slug>.md", views.source, name="source"),
    path("<slug:area_slug>/<slug:slug>/preview/", views.preview, name="preview"),
    path("<slug:area_slug>/<slug:slug>/history/", history_views.article_history, name="history"),
    path("flags/<int:pk>/resolve/", trust_views.resolve, name="resolve_flag"),
    path("<slug:area_slug>/<slug:slug>/flag/", trust_views.flag, name="flag"),
    path("", views.index, name="index"),
    path("feed.atom", feed_views.feed, name="feed"),
    path("freshness.json", trust_views.freshness, name="freshness"),
    path("review/", trust_views.review, name="review"),
    path("glossary/", views.glossary, name="glossary"),
    path("models/", model_views.base_models, name="models"),
    path("calculators/", calculator_views.index, name="calculators"),
    path("images/<path:path>", views.image, name="image"),
    path("<slug:area_slug>/", views.area, name="area"),
]
