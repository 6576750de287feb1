from django.apps import AppConfig
from django.db.models.signals import post_migrate, pre_migrate

from playbook.web.common import guards


class CommonConfig(AppConfig):
    name = "playbook.web.common"
    label = "common"

    def ready(self) -> None:
        pre_migrate.connect(guards.before_migrate, sender=self)
        post_migrate.connect(guards.after_migrate, sender=self)
