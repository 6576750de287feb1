from django.apps import AppConfig


class JobsConfig(AppConfig):
    name = "playbook.web.jobs"
    label = "jobs"

    def ready(self) -> None:
        from playbook.web.common import guards, measurements
        from playbook.web.jobs import measurements as source
        from playbook.web.jobs import panels  # noqa: F401 - it registers them; models are ready only now

        measurements.register(source)
        guards.register(*guards.append_only("jobs.Rating", "rating", "ratings"))
