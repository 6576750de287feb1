"""`/jobs/`: launch, watch, cancel, read the report."""

from django.urls import path

from playbook.web.jobs import blind_views, merge_views, playground_views, prompt_views, report_views, views

app_name = "jobs"
urlpatterns = [
    path("", views.index, name="index"),
    path("new/", views.new, name="new"),
    path("choose/", views.choose, name="choose"),
    path("compare/", views.comparison, name="compare"),
    path("predictions/", views.foretold, name="predictions"),
    path("prompts/<int:pk>/", prompt_views.measure, name="measure_prompt"),
    path("playground/new/", playground_views.new, name="new_playground"),
    path("<int:pk>/playground/", playground_views.session, name="playground"),
    path("<int:pk>/playground/close/", playground_views.close, name="close_playground"),
    path("<int:pk>/playground/stop/", playground_views.stop, name="stop_answer"),
    path("<int:pk>/playground/<int:number>/save/", playground_views.save, name="save_turn"),
    path("workers/", views.workers, name="workers"),
    path("<int:pk>/", views.detail, name="detail"),
    path("<int:pk>/cancel/", views.cancel, name="cancel"),
    path("<int:pk>/merge/", merge_views.merge, name="merge"),
    path("<int:pk>/merged/", merge_views.merged, name="merged"),
    path("<int:pk>/samples/", views.samples, name="samples"),
    path("<int:pk>/report/", report_views.report, name="report"),
    path("<int:pk>/report/print/", report_views.printed, name="report_print"),
    path("<int:pk>/report.<str:suffix>", report_views.export_table, name="export"),
    path("<int:pk>/rows/", report_views.rows, name="rows"),
    path("<int:pk>/rows/<int:index>/", report_views.row, name="row"),
    path("<int:pk>/blind/", blind_views.rate, name="blind"),
    path("<int:pk>/events.jsonl", views.events, name="events"),
    path("<int:pk>/files/<str:name>", views.artifact, name="artifact"),
]
