"""`/jobs/`: launch, watch, cancel, read the report."""

from django.urls import path

from playbook.web.jobs import views

app_name = "jobs"
urlpatterns = [
    path("", views.index, name="index"),
    path("new/", views.new, name="new"),
    path("choose/", views.choose, name="choose"),
    path("workers/", views.workers, name="workers"),
    path("<int:pk>/", views.detail, name="detail"),
    path("<int:pk>/cancel/", views.cancel, name="cancel"),
    path("<int:pk>/rows/", views.rows, name="rows"),
    path("<int:pk>/events.jsonl", views.events, name="events"),
    path("<int:pk>/files/<str:name>", views.artifact, name="artifact"),
]
