"""Drawings of what runs where: a site and its worker, a base model and its adapters."""

from playbook.figures.drawing import Drawing


def site_and_worker() -> Drawing:
    """Return the three processes and who speaks to whom."""
    drawing = Drawing(
        "The site, the worker and the trainer",
        "Two machines. On the first runs the site, with queue, records and pages. On the GPU machine runs the worker, "
        "which starts the trainer. Every call goes from the worker to the site: it asks for a job, sends events and "
        "files. The site never calls the worker, so the GPU machine needs no open port. Worker and trainer meet in a "
        "folder.",
        height=236,
    )
    drawing.rect(1, 24, 132, 196, ink="soft", round_by=10)
    drawing.rect(227, 24, 132, 196, ink="soft", round_by=10)
    drawing.text(1, 14, "the site's machine", ink="little muted")
    drawing.text(227, 14, "the GPU machine", ink="little muted")
    drawing.rect(13, 44, 108, 62, ink="soft-1", round_by=8)
    drawing.text(25, 66, "site", ink="strong")
    drawing.text(25, 83, "queue, records,\npages", ink="little muted")
    drawing.rect(239, 44, 108, 62, ink="soft-2", round_by=8)
    drawing.text(251, 66, "worker", ink="strong")
    drawing.text(251, 83, "asks, sends,\nstops", ink="little muted")
    drawing.rect(239, 146, 108, 62, ink="soft-3", round_by=8)
    drawing.text(251, 168, "trainer", ink="strong")
    drawing.text(251, 185, "trains, measures", ink="little muted")
    drawing.arrow((238, 64), (122, 64))
    drawing.text(180, 56, "give me a job", ink="little", anchor="middle")
    drawing.arrow((238, 92), (122, 92))
    drawing.text(180, 110, "events, files", ink="little", anchor="middle")
    drawing.arrow((293, 107), (293, 145))
    drawing.text(301, 131, "a folder", ink="little muted")
    drawing.text(13, 186, "calls nobody", ink="little muted")
    return drawing


def one_base_many_adapters() -> Drawing:
    """Return the two ways to put adapters to use."""
    drawing = Drawing(
        "Merged, or kept apart",
        "Left: merged. Each of three tasks has a whole model of its own, base and adapter in one file. Right: kept "
        "apart. One base model stands under three small adapters, and each request names the one that it needs.",
        height=222,
    )
    tasks = ("tickets", "reports", "replies")
    drawing.text(1, 14, "merged", ink="strong")
    drawing.text(1, 30, "a whole model for each task", ink="little muted")
    drawing.text(191, 14, "kept apart", ink="strong")
    drawing.text(191, 30, "one base, an adapter for each", ink="little muted")
    for number, task in enumerate(tasks):
        x = 1 + 55 * number
        drawing.rect(x, 66, 48, 130, ink="soft", round_by=6)
        drawing.rect(x + 6, 74, 36, 14, ink="fill-1", round_by=3)
        drawing.text(x + 24, 146, "base", ink="little muted", anchor="middle")
        drawing.text(x + 24, 214, task, ink="little", anchor="middle")
        x = 191 + 57 * number
        drawing.rect(x, 66, 50, 24, ink="fill-1", round_by=4)
        drawing.text(x + 25, 58, task, ink="little", anchor="middle")
        drawing.line((x + 25, 91), (x + 25, 107))
    drawing.rect(191, 108, 164, 88, ink="soft", round_by=6)
    drawing.text(273, 157, "one base model", ink="strong", anchor="middle")
    return drawing
