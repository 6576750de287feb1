"""The WSGI entry point, served by gunicorn, whose processes import it once each: so each is warm before it is asked."""

import os

from django.core.wsgi import get_wsgi_application

from playbook.web.common.warm import warm_up

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "playbook.web.settings")
application = get_wsgi_application()
warm_up()
