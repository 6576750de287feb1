"""Blobs as files to keep. A model is gigabytes: a browser whose connection broke asks for the rest, and for a file that
it has already, asks for nothing (RFC 9110, sections 13 and 14).

One range at a time. Who asks for several, or in another unit than bytes, gets the whole file, as the RFC allows.
"""

import os
import re
from collections.abc import Iterator
from typing import BinaryIO

from django.http import FileResponse, HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import get_conditional_response
from django.utils.http import content_disposition_header

from playbook.web.common import blobs

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)
_READ_BYTES = 256 * 1024


def download(request: HttpRequest, *, sha256: str, filename: str) -> HttpResponseBase:
    """Return the blob, the part of it that `Range` asks for, or 304 for who has it. Raises FileNotFoundError."""
    etag = f'"{sha256}"'
    answer = get_conditional_response(request, etag=etag) or _file(request, sha256, etag=etag, filename=filename)
    for name, value in (("ETag", etag), ("Accept-Ranges", "bytes"), ("Cache-Control", "private, no-cache")):
        answer.headers[name] = value
    return answer


def _file(request: HttpRequest, sha256: str, *, etag: str, filename: str) -> HttpResponseBase:
    file = blobs.open_blob(sha256)
    size = os.fstat(file.fileno()).st_size
    part = _asked(request, etag=etag, size=size)
    if part is None:
        return FileResponse(file, as_attachment=True, filename=filename)
    if not part:
        file.close()
        return HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}"})
    headers = {
        "Content-Range": f"bytes {part.start}-{part.stop - 1}/{size}",
        "Content-Length": str(len(part)),
        "Content-Disposition": content_disposition_header(True, filename),
    }
    return StreamingHttpResponse(_read(file, part), status=206, headers=headers)


def _asked(request: HttpRequest, *, etag: str, size: int) -> range | None:
    """Return the bytes that the request asks for, none where it asks for what is not there; None: all of them."""
    found = _RANGE.fullmatch(request.headers.get("Range", ""))
    if found is None or request.method != "GET" or request.headers.get("If-Range", etag) != etag:
        return None
    first, last = found.groups()
    if first:
        begin, end = int(first), int(last) + 1 if last else size
        return range(begin, min(end, size)) if begin < end or begin >= size else None
    return range(max(0, size - int(last)), size) if last else None


def _read(file: BinaryIO, part: range) -> Iterator[bytes]:
    with file:
        file.seek(part.start)
        left = len(part)
        while left and (data := file.read(min(left, _READ_BYTES))):
            left -= len(data)
            yield data
