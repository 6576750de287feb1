"""`/outcomes/`: what came of the decisions."""

from django.urls import path

from playbook.web.outcomes import views

app_name = "outcomes"
urlpatterns = [
    path("", views.index, name="index"),
    path("calibration/", views.calibration, name="calibration"),
    path("new/<int:job_pk>/", views.new, name="new"),
]
