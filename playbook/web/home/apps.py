from django.apps import AppConfig


class HomeConfig(AppConfig):
    name = "playbook.web.home"
    label = "home"
