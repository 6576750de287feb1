from importlib import import_module

from django.apps import AppConfig


class AssessmentsConfig(AppConfig):
    name = "playbook.web.assessments"
    label = "assessments"

    def ready(self) -> None:
        from playbook.web.common.guards import append_only, register

        register(*append_only("assessments.Answer", "answer", "answers"))
        register(*append_only("assessments.Remark", "remark", "remarks"))
        import_module("playbook.web.assessments.panels")
        import_module("playbook.web.assessments.mail")
        import_module("playbook.web.assessments.vouched")
