from django.apps import AppConfig


class CommonConfig(AppConfig):
    name = "playbook.web.common"
    label = "common"
