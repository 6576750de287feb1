"""What an hour of a worker costs, as the site is set up."""

from django.conf import settings

from playbook.contracts.run_spec import CostSettings


def today_costs() -> CostSettings | None:
    """Return what an hour of a worker costs today; the report keeps it, whatever it costs later."""
    rate = float(settings.PLAYBOOK_GPU_HOUR_RATE)
    return CostSettings(hour_rate=rate, currency=settings.PLAYBOOK_CURRENCY) if rate else None
