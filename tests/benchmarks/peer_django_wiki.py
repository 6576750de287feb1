"""django-wiki (PyPI `wiki`) with our articles, for the benchmark. Runs in a virtual environment of its own.

`python peer_django_wiki.py ARTICLES_DIR` creates the database in BENCH_DIR, a reader called "bench", and one wiki page
for each Markdown file; gunicorn then serves `peer_django_wiki:application`. Every setting is django-wiki's default.
"""

import os
import sys
from pathlib import Path

import django
from django.conf import settings

FOLDER = Path(os.environ["BENCH_DIR"])
PASSWORD = "correct horse battery"
if not settings.configured:
    settings.configure(
        SECRET_KEY="bench",
        ALLOWED_HOSTS=["127.0.0.1"],
        ROOT_URLCONF=__name__,
        SITE_ID=1,
        USE_TZ=True,
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        STATIC_URL="/static/",
        LOGIN_REDIRECT_URL="/",
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": FOLDER / "wiki.sqlite3"}},
        INSTALLED_APPS=[
            "django.contrib.humanize",
            "django.contrib.auth",
            "django.contrib.contenttypes",
            "django.contrib.sessions",
            "django.contrib.sites",
            "django.contrib.messages",
            "django.contrib.staticfiles",
            "django.contrib.admin",
            "django_nyt.apps.DjangoNytConfig",
            "mptt",
            "sekizai",
            "sorl.thumbnail",
            "wiki.apps.WikiConfig",
            "wiki.plugins.attachments.apps.AttachmentsConfig",
            "wiki.plugins.notifications.apps.NotificationsConfig",
            "wiki.plugins.images.apps.ImagesConfig",
            "wiki.plugins.macros.apps.MacrosConfig",
        ],
        MIDDLEWARE=[
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.common.CommonMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
            "django.contrib.auth.middleware.AuthenticationMiddleware",
            "django.contrib.messages.middleware.MessageMiddleware",
        ],
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {
                    "context_processors": [
                        "django.contrib.auth.context_processors.auth",
                        "django.template.context_processors.debug",
                        "django.template.context_processors.i18n",
                        "django.template.context_processors.media",
                        "django.template.context_processors.request",
                        "django.template.context_processors.static",
                        "django.template.context_processors.tz",
                        "django.contrib.messages.context_processors.messages",
                        "sekizai.context_processors.sekizai",
                    ]
                },
            }
        ],
    )
    django.setup()

from django.core.wsgi import get_wsgi_application  # noqa: E402 - after setup
from django.urls import include, path  # noqa: E402

urlpatterns = [path("notifications/", include("django_nyt.urls")), path("", include("wiki.urls"))]
application = get_wsgi_application()


def main(articles: Path) -> None:
    from django.contrib.auth import get_user_model
    from django.core.management import call_command
    from django.test import Client
    from wiki.models import URLPath  # type: ignore[import-not-found]  # lives in the other environment

    call_command("migrate", verbosity=0)
    get_user_model().objects.create_superuser("bench", "bench@example.org", PASSWORD)
    root = URLPath.create_root(title="Root", content="Root")
    for file in sorted(articles.glob("*/*.md")):
        body = file.read_text().split("---\n", 2)[2]
        URLPath.create_urlpath(root, file.stem, title=file.stem, content=body, user_message="")
    client = Client()
    client.login(username="bench", password=PASSWORD)
    (FOLDER / "cookie").write_text(f"sessionid={client.cookies['sessionid'].value}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
