from importlib import import_module

from django.apps import AppConfig


class DecisionsConfig(AppConfig):
    name = "playbook.web.decisions"
    label = "decisions"

    def ready(self) -> None:
        import_module("playbook.web.decisions.panels")
