"""`/` and `/healthz`."""

from django.urls import path

from playbook.web.home.healthz import healthz
from playbook.web.home.views import home

app_name = "home"
urlpatterns = [
    path("", home, name="home"),
    path("healthz", healthz, name="healthz"),
]
