"""`/decide/`: checklists and the assessments made with them."""

from django.urls import path

from playbook.web.assessments import views

app_name = "assessments"
urlpatterns = [
    path("", views.index, name="index"),
    path("assessments/<int:pk>/", views.detail, name="detail"),
    path("assessments/<int:pk>/answers/<slug:question_id>/", views.answer, name="answer"),
    path("<slug:slug>/", views.checklist, name="checklist"),
    path("<slug:slug>/start/", views.start, name="start"),
]
