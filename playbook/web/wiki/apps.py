from django.apps import AppConfig


class WikiConfig(AppConfig):
    name = "playbook.web.wiki"
    label = "wiki"

    def ready(self) -> None:
        from playbook.web.wiki import panels  # noqa: F401 - registers them; models are ready only now
