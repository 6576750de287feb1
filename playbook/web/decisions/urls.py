"""`/decisions/`: the decision log. Addresses carry the decision's number."""

from django.urls import path

from playbook.web.decisions import views

app_name = "decisions"
urlpatterns = [
    path("", views.index, name="index"),
    path("draft/<int:assessment>/", views.draft, name="draft"),
    path("<int:number>/", views.detail, name="detail"),
    path("<int:number>.md", views.markdown, name="markdown"),
    path("<int:number>/edit/", views.edit, name="edit"),
    path("<int:number>/propose/", views.propose, name="propose"),
    path("<int:number>/withdraw/", views.withdraw, name="withdraw"),
    path("<int:number>/sign/", views.sign, name="sign"),
    path("<int:number>/reopen/", views.reopen, name="reopen"),
    path("<int:number>/supersede/", views.supersede, name="supersede"),
    path("<int:number>/deprecate/", views.deprecate, name="deprecate"),
]
