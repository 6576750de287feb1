"""Every address of the site: the library, whose pages are asked for most, then in the order of the navigation."""

from django.urls import include, path

from playbook.web.common import views as common
from playbook.web.jobs.protocol_api import api as worker_protocol
from playbook.web.wiki import feed_views

urlpatterns = [
    path("library/", include("playbook.web.wiki.urls")),
    path("", include("playbook.web.home.urls")),
    path("search/", include("playbook.web.search.urls")),
    path("sitemap.xml", feed_views.sitemap, name="sitemap"),
    path("llms.txt", feed_views.llms, name="llms"),
    path("decide/", include("playbook.web.assessments.urls")),
    path("jobs/", include("playbook.web.jobs.urls")),
    path("decisions/", include("playbook.web.decisions.urls")),
    path("outcomes/", include("playbook.web.outcomes.urls")),
    path("datasets/", include("playbook.web.datasets.urls")),
    path("prompts/", include("playbook.web.prompts.urls")),
    path("use-cases/", include("playbook.web.usecases.urls")),
    path("account/", include("playbook.web.accounts.urls")),
    path("theme/", common.set_theme, name="theme"),
    path("api/worker/v1/", worker_protocol.urls),
]

handler400 = "playbook.web.common.views.bad_request"
handler403 = "playbook.web.common.views.forbidden"
handler404 = "playbook.web.common.views.not_found"
handler500 = "playbook.web.common.views.server_error"
