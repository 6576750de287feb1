from importlib import import_module

from django.apps import AppConfig


class DecisionsConfig(AppConfig):
    name = "playbook.web.decisions"
    label = "decisions"

    def ready(self) -> None:
        from playbook.web.common import guards
        from playbook.web.decisions.guards import GUARDS

        guards.register(*GUARDS)
        import_module("playbook.web.decisions.panels")
        import_module("playbook.web.decisions.reminders")
        import_module("playbook.web.decisions.vouched")
