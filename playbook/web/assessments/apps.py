from importlib import import_module

from django.apps import AppConfig


class AssessmentsConfig(AppConfig):
    name = "playbook.web.assessments"
    label = "assessments"

    def ready(self) -> None:
        import_module("playbook.web.assessments.panels")
        import_module("playbook.web.assessments.mail")
