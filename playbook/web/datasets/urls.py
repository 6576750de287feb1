"""`/datasets/`: the shipped samples, the datasets of the reader's use cases, and imports under way."""

from django.urls import path

from playbook.web.datasets import document_views, import_views, views

app_name = "datasets"
urlpatterns = [
    path("", views.index, name="index"),
    path("new/<slug:use_case>/", import_views.new, name="new"),
    path("imports/<int:pk>/", import_views.detail, name="import"),
    path("imports/<int:pk>/change/", import_views.change, name="change_import"),
    path("imports/<int:pk>/store/", import_views.store, name="store_import"),
    path("imports/<int:pk>/discard/", import_views.discard, name="discard_import"),
    path("imports/<int:pk>/checks/<slug:code>/", import_views.check, name="import_check"),
    path("documents/new/<slug:use_case>/", document_views.new, name="new_documents"),
    path("documents/<int:pk>/", document_views.detail, name="documents"),
    path("<int:pk>/", views.detail, name="detail"),
    path("<int:pk>/checks/<slug:code>/", views.check, name="check"),
    path("<int:pk>/metric/", views.metric, name="metric"),
    path("<int:pk>/changes/", views.changes, name="changes"),
    path("<int:pk>/versions/new/", import_views.new_version, name="new_version"),
]
