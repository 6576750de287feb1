"""Static file names: hashed after `collectstatic`, plain before it (tests, a first `runserver`)."""

from django.conf import settings
from whitenoise.storage import CompressedManifestStaticFilesStorage


class StaticStorage(CompressedManifestStaticFilesStorage):  # type: ignore[misc]  # whitenoise ships no types
    """Whitenoise's hashed and compressed storage that needs no build step before the first request."""

    manifest_strict = False

    def url(self, name: str | None, force: bool = False) -> str:
        if not self.hashed_files and not settings.DEBUG:
            return f"{settings.STATIC_URL}{name}"
        return str(super().url(name, force))
