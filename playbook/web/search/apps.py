from django.apps import AppConfig


class SearchConfig(AppConfig):
    name = "playbook.web.search"
    label = "search"
