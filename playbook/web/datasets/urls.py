"""`/datasets/`: the shipped samples and the datasets of the reader's use cases."""

from django.urls import path

from playbook.web.datasets import views

app_name = "datasets"
urlpatterns = [
    path("", views.index, name="index"),
    path("new/<slug:use_case>/", views.new, name="new"),
    path("<int:pk>/", views.detail, name="detail"),
    path("<int:pk>/versions/new/", views.new_version, name="new_version"),
]
