from importlib import import_module

from django.apps import AppConfig


class PromptsConfig(AppConfig):
    name = "playbook.web.prompts"
    label = "prompts"

    def ready(self) -> None:
        from playbook.web.common import guards
        from playbook.web.prompts.guards import GUARDS

        guards.register(*GUARDS)
        import_module("playbook.web.prompts.panels")
