"""Settings of gunicorn: `--config python:playbook.web.gunicorn_conf`; the command line comes on top."""

from gunicorn.http import message

# Every string is a valid query, 20,000 emoji too, which are 240,000 bytes in an address. gunicorn answers a longer line
# than its limit with a page of its own, and lowers any higher limit to 8,190 bytes; none at all would let one request
# take all memory. Search cuts the query (`library.search_words`).
limit_request_line = message.MAX_REQUEST_LINE = 256 * 1024
