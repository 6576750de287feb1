"""`/use-cases/`: the team's use cases and who belongs to them."""

from django.urls import path

from playbook.web.usecases import views

app_name = "usecases"
urlpatterns = [
    path("", views.index, name="index"),
    path("new/", views.new, name="new"),
    path("<slug:slug>/", views.detail, name="detail"),
    path("<slug:slug>/members/", views.add_member, name="add_member"),
    path("<slug:slug>/members/<int:pk>/remove/", views.remove_member, name="remove_member"),
    path("<slug:slug>/delegations/", views.delegate, name="delegate"),
    path("<slug:slug>/delegations/<int:pk>/revoke/", views.revoke_delegation, name="revoke_delegation"),
]
