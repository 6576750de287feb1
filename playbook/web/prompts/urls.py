"""`/prompts/`: the list, a new one, the workbench, one version with what it changed."""

from django.urls import path

from playbook.web.prompts import views

app_name = "prompts"
urlpatterns = [
    path("", views.index, name="index"),
    path("new/<slug:use_case>/", views.new, name="new"),
    path("<int:pk>/", views.workbench, name="workbench"),
    path("<int:pk>/versions/<int:number>/", views.version, name="version"),
]
