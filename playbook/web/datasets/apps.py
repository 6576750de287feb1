from importlib import import_module

from django.apps import AppConfig


class DatasetsConfig(AppConfig):
    name = "playbook.web.datasets"
    label = "datasets"

    def ready(self) -> None:
        import_module("playbook.web.datasets.panels")
