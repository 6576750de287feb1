"""`/decide/`: checklists and the assessments made with them."""

from django.urls import path

from playbook.web.assessments import question_views, views

app_name = "assessments"
_QUESTION = "assessments/<int:pk>/questions/<slug:question_id>"
urlpatterns = [
    path("", views.index, name="index"),
    path("checklist.schema.json", views.schema, name="schema"),
    path("assessments/<int:pk>/", views.detail, name="detail"),
    path("assessments/<int:pk>/changes/", views.changes, name="changes"),
    path("assessments/<int:pk>/newer/", views.newer, name="newer"),
    path("assessments/<int:pk>/move/", views.move, name="move"),
    path("assessments/<int:pk>/answers/<slug:question_id>/", views.answer, name="answer"),
    path("assessments/<int:pk>/files/<str:sha256>/", question_views.evidence_file, name="evidence_file"),
    path(f"{_QUESTION}/", question_views.detail, name="question"),
    path(f"{_QUESTION}/measure/", question_views.measure, name="measure"),
    path(f"{_QUESTION}/evidence/", question_views.add_evidence, name="add_evidence"),
    path(f"{_QUESTION}/evidence/remove/", question_views.remove_evidence, name="remove_evidence"),
    path(f"{_QUESTION}/assign/", question_views.assign, name="assign"),
    path(f"{_QUESTION}/assign/end/", question_views.end_assignment, name="end_assignment"),
    path(f"{_QUESTION}/remarks/", question_views.remark, name="remark"),
    path("<slug:slug>/", views.checklist, name="checklist"),
    path("<slug:slug>/table/", views.decision_table, name="table"),
    path("<slug:slug>/start/", views.start, name="start"),
]
