"""Django settings. Every value that an installation may change is read from the environment here and nowhere else.

The README lists them; a test fails when one is missing there. A wrong value stops the start with one sentence.
"""

import contextlib
import os
import re
import secrets
import tempfile
from decimal import Decimal
from pathlib import Path
from urllib.parse import unquote, urlsplit

import dj_database_url
from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent.parent


def _flag(name: str, *, default: bool) -> bool:
    value = os.environ.get(name, "1" if default else "0").lower()
    if value not in ("1", "0", "true", "false", "yes", "no"):
        raise ImproperlyConfigured(f"{name}={value!r} is not a yes or no; set it to 1 or 0")
    return value in ("1", "true", "yes")


def _number(name: str, *, default: int) -> int:
    value = os.environ.get(name, str(default))
    if not value.isdigit() or int(value) == 0:
        raise ImproperlyConfigured(f"{name}={value!r} is not a whole number above 0")
    return int(value)


def _amount(name: str, *, default: str) -> Decimal:
    value = os.environ.get(name, default)
    if not re.fullmatch(r"[0-9]{1,8}([.][0-9]{1,4})?", value):
        raise ImproperlyConfigured(f"{name}={value!r} is not an amount; write it as 2 or 2.35")
    return Decimal(value)


def _words(name: str, default: str) -> list[str]:
    return [word.strip() for word in os.environ.get(name, default).split(",") if word.strip()]


def _secret_key(data_dir: Path) -> str:
    """Return PLAYBOOK_SECRET_KEY, or a random key kept in the data folder so that sessions survive a restart."""
    if key := os.environ.get("PLAYBOOK_SECRET_KEY"):
        return key
    file = data_dir / "secret-key"
    if not file.exists():
        # Written aside, then linked: a second process of the same start sees the whole key or none.
        descriptor, written = tempfile.mkstemp(dir=data_dir)
        os.write(descriptor, secrets.token_urlsafe(50).encode())
        os.close(descriptor)
        with contextlib.suppress(FileExistsError):
            os.link(written, file)
        Path(written).unlink()
    return file.read_text()


PLAYBOOK_DATA_DIR = Path(os.environ.get("PLAYBOOK_DATA_DIR", BASE_DIR / ".data"))
PLAYBOOK_DATA_DIR.mkdir(parents=True, exist_ok=True)
PLAYBOOK_CONTENT_DIR = Path(os.environ.get("PLAYBOOK_CONTENT_DIR", BASE_DIR / "content"))
if not PLAYBOOK_CONTENT_DIR.is_dir():
    raise ImproperlyConfigured(f"PLAYBOOK_CONTENT_DIR={str(PLAYBOOK_CONTENT_DIR)!r} is not a folder")
PLAYBOOK_LEASE_SECONDS = _number("PLAYBOOK_LEASE_SECONDS", default=60)
PLAYBOOK_GPU_HOUR_RATE = _amount("PLAYBOOK_GPU_HOUR_RATE", default="0")
PLAYBOOK_CURRENCY = os.environ.get("PLAYBOOK_CURRENCY", "EUR")
if not 1 <= len(PLAYBOOK_CURRENCY) <= 10:
    raise ImproperlyConfigured(f"PLAYBOOK_CURRENCY={PLAYBOOK_CURRENCY!r} is not one to ten characters, such as EUR")
PLAYBOOK_MAX_UPLOAD_MB = _number("PLAYBOOK_MAX_UPLOAD_MB", default=250)

DEBUG = _flag("PLAYBOOK_DEBUG", default=False)
SECRET_KEY = _secret_key(PLAYBOOK_DATA_DIR)
ALLOWED_HOSTS = _words("PLAYBOOK_ALLOWED_HOSTS", "localhost,127.0.0.1,[::1]")
CSRF_TRUSTED_ORIGINS = _words("PLAYBOOK_TRUSTED_ORIGINS", "")
# Behind TLS, set PLAYBOOK_HTTPS=1: cookies are then sent over HTTPS alone and plain HTTP is redirected.
PLAYBOOK_HTTPS = _flag("PLAYBOOK_HTTPS", default=False)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if PLAYBOOK_HTTPS else None
SECURE_SSL_REDIRECT = SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PLAYBOOK_HTTPS
SECURE_HSTS_SECONDS = 31_536_000 if PLAYBOOK_HTTPS else 0

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "django_htmx",
    "csp",
    # Our apps, lowest first: each may import those above it in this list, never those below.
    "playbook.web.accounts",
    "playbook.web.common",
    "playbook.web.usecases",
    "playbook.web.datasets",
    "playbook.web.prompts",
    "playbook.web.assessments",
    "playbook.web.decisions",
    "playbook.web.jobs",
    "playbook.web.outcomes",
    "playbook.web.wiki",
    "playbook.web.search",
    "playbook.web.home",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "playbook.web.common.middleware.CompressTextMiddleware",
    "playbook.web.common.middleware.page_headers",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "playbook.web.common.middleware.AuthenticationMiddleware",
    "playbook.web.common.middleware.LoginRequiredMiddleware",
    "playbook.web.common.messages.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "playbook.web.urls"
WSGI_APPLICATION = "playbook.web.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": False,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "playbook.web.common.context.site",
            ],
            "loaders": [
                ("django.template.loaders.cached.Loader", ["django.template.loaders.filesystem.Loader"]),
            ]
            if not DEBUG
            else ["django.template.loaders.filesystem.Loader"],
            "builtins": ["playbook.web.common.templatetags.playbook"],
        },
    }
]

DATABASES = {"default": dj_database_url.config(default=f"sqlite:///{PLAYBOOK_DATA_DIR / 'playbook.sqlite3'}")}
DATABASES["default"]["ATOMIC_REQUESTS"] = False
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # WAL lets readers go on while one writes; IMMEDIATE takes the write lock at the start of a transaction, so that
    # two writers queue (up to `timeout` seconds) instead of failing with "database is locked" halfway through.
    DATABASES["default"]["OPTIONS"] = {
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;",
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
    }
else:
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
# Connecting anew for each request costs an article page a third of its time, with SQLite too.
DATABASES["default"]["CONN_MAX_AGE"] = 60
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["playbook.web.accounts.sessions.PersonBackend"]
SESSION_ENGINE = "playbook.web.accounts.sessions"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
LOGIN_URL = "accounts:login"
LOGIN_REDIRECT_URL = "home:home"
LOGOUT_REDIRECT_URL = "accounts:login"
SESSION_COOKIE_AGE = 14 * 24 * 3600
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"

LANGUAGE_CODE = "en-gb"
# One language: no page looks up, for each number on it, whose language it is.
USE_I18N = False
TIME_ZONE = "UTC"
USE_TZ = True

STATIC_URL = "/static/"
STATIC_ROOT = PLAYBOOK_DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "playbook/web/static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "playbook.web.common.static.StaticStorage"},
}
WHITENOISE_USE_FINDERS = DEBUG
DATA_UPLOAD_MAX_MEMORY_SIZE = 16 * 1024 * 1024
# Above the 2,000 text files of a document set, so that its form can say how many are too many.
DATA_UPLOAD_MAX_NUMBER_FILES = 2_500
FILE_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
FILE_UPLOAD_HANDLERS = [
    "playbook.web.common.uploads.BoundedUpload",  # first: the others begin to read
    "django.core.files.uploadhandler.MemoryFileUploadHandler",
    "playbook.web.common.uploads.UploadToDisk",
]

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "manifest-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"

# Letters are printed on the console until a server is named: smtp:// (STARTTLS) or smtps:// (TLS from the start).
PLAYBOOK_EMAIL_URL = os.environ.get("PLAYBOOK_EMAIL_URL", "")
PLAYBOOK_PUBLIC_URL = os.environ.get("PLAYBOOK_PUBLIC_URL", "http://localhost:8000").rstrip("/")
DEFAULT_FROM_EMAIL = os.environ.get("PLAYBOOK_EMAIL_FROM", "playbook@localhost")
EMAIL_BACKEND = "django.core.mail.backends.console.EmailBackend"
EMAIL_TIMEOUT = 10
if PLAYBOOK_EMAIL_URL:
    _server = urlsplit(PLAYBOOK_EMAIL_URL)
    if _server.scheme not in ("smtp", "smtps") or not _server.hostname:
        raise ImproperlyConfigured("PLAYBOOK_EMAIL_URL is not an address such as smtp://user:password@host:587")
    EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    EMAIL_HOST = _server.hostname
    EMAIL_USE_SSL = _server.scheme == "smtps"
    EMAIL_PORT = _server.port or (465 if EMAIL_USE_SSL else 25)
    EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = unquote(_server.username or ""), unquote(_server.password or "")
    # A password never travels in the clear; a server on this machine that asks for none may do without.
    EMAIL_USE_TLS = not EMAIL_USE_SSL and bool(EMAIL_HOST_USER)

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": "INFO"},
    # A 404 or 403 is an answer, not an incident.
    "loggers": {"django.request": {"level": "ERROR"}, "django.security.csrf": {"level": "ERROR"}},
}
