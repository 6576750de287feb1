from django.apps import AppConfig


class OutcomesConfig(AppConfig):
    name = "playbook.web.outcomes"
    label = "outcomes"

    def ready(self) -> None:
        from playbook.web.outcomes import panels  # noqa: F401 - registers them; models are ready only now
