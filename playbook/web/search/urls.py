"""`/search/`: the page, the palette, and what was looked for in vain."""

from django.urls import path

from playbook.web.search import views

app_name = "search"
urlpatterns = [
    path("", views.index, name="index"),
    path("palette", views.palette, name="palette"),
    path("missing/", views.missing, name="missing"),
    path("missed/", views.missed, name="missed"),
]
