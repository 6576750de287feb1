from django.apps import AppConfig


class JobsConfig(AppConfig):
    name = "playbook.web.jobs"
    label = "jobs"

    def ready(self) -> None:
        from playbook.web.jobs import panels  # noqa: F401 - registers them; models are ready only now
