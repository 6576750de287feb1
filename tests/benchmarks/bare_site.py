"""The least that Django can do: one view, no middleware, no template, no query. The yardstick of our pages."""

import os

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path

if not settings.configured:
    settings.configure(
        SECRET_KEY="bench", ALLOWED_HOSTS=["127.0.0.1"], ROOT_URLCONF=__name__, MIDDLEWARE=[], USE_TZ=True
    )
    django.setup()

#: As many bytes as one of our article pages.
BODY = b"x" * int(os.environ.get("BENCH_BODY_BYTES", "20000"))


def page(request: HttpRequest) -> HttpResponse:
    return HttpResponse(BODY, headers={"Content-Length": str(len(BODY))})


urlpatterns = [path("", page)]
application = get_wsgi_application()
