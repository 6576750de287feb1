from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "playbook.web.accounts"
    label = "accounts"
