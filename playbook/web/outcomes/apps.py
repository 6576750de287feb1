from django.apps import AppConfig


class OutcomesConfig(AppConfig):
    name = "playbook.web.outcomes"
    label = "outcomes"

    def ready(self) -> None:
        from playbook.web.common.guards import append_only, register
        from playbook.web.jobs.endings import job_ended
        from playbook.web.outcomes import panels  # noqa: F401 - registers them; models are ready only now
        from playbook.web.outcomes.proposals import propose_outcome

        register(*append_only("outcomes.OutcomeReview", "outcome_review", "outcome reviews"))
        job_ended.connect(propose_outcome, dispatch_uid="outcomes")
