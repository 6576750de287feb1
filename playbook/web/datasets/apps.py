from importlib import import_module

from django.apps import AppConfig


class DatasetsConfig(AppConfig):
    name = "playbook.web.datasets"
    label = "datasets"

    def ready(self) -> None:
        from playbook.web.common.guards import append_only, register

        register(
            *append_only("datasets.DatasetVersion", "dataset_version", "versions of datasets"),
            *append_only("datasets.SplitFile", "split_file", "splits of a dataset version"),
        )
        import_module("playbook.web.datasets.panels")
