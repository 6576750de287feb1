from importlib import import_module

from django.apps import AppConfig


class DecisionsConfig(AppConfig):
    name = "playbook.web.decisions"
    label = "decisions"

    def ready(self) -> None:
        from playbook.web.assessments.changes import answer_appended
        from playbook.web.common import guards
        from playbook.web.decisions.guards import GUARDS
        from playbook.web.decisions.mail import ask_again

        guards.register(*GUARDS)
        answer_appended.connect(ask_again, dispatch_uid="decisions")
        import_module("playbook.web.decisions.panels")
        import_module("playbook.web.decisions.reminders")
        import_module("playbook.web.decisions.vouched")
