"""`/decisions/`: the decision log. Addresses carry the decision's number."""

from django.urls import path

from playbook.web.decisions import views

app_name = "decisions"
urlpatterns = [
    path("", views.index, name="index"),
    path("export.csv", views.export_csv, name="csv"),
    path("export.json", views.export_json, name="json"),
    path("draft/<int:assessment>/", views.draft, name="draft"),
    path("<int:number>/", views.detail, name="detail"),
    path("<int:number>.md", views.markdown, name="markdown"),
    path("<int:number>.zip", views.bundle, name="bundle"),
    path("<int:number>/edit/", views.edit, name="edit"),
    path("<int:number>/measure/", views.measure, name="measure"),
    path("<int:number>/propose/", views.propose, name="propose"),
    path("<int:number>/withdraw/", views.withdraw, name="withdraw"),
    path("<int:number>/sign/", views.sign, name="sign"),
    path("<int:number>/reopen/", views.reopen, name="reopen"),
    path("<int:number>/supersede/", views.supersede, name="supersede"),
    path("<int:number>/deprecate/", views.deprecate, name="deprecate"),
]
