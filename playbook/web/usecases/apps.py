from django.apps import AppConfig


class UseCasesConfig(AppConfig):
    name = "playbook.web.usecases"
    label = "usecases"
