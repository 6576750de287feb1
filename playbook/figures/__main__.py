"""`python -m playbook.figures [CONTENT_DIR]`: write every drawing into its folder `figures`."""

import sys
from pathlib import Path

from playbook.figures import diagrams, machines, plots
from playbook.figures.drawing import Drawing
from playbook.figures.sample import read_sample


def draw_all(content_dir: Path) -> dict[str, Drawing]:
    """Return the drawings by slug."""
    sample = read_sample(content_dir)
    return {
        "adapter-size": plots.adapter_size(sample),
        "choose-a-remedy": diagrams.choose_a_remedy(),
        "interval-width": plots.interval_width(),
        "learned-and-forgotten": plots.learned_and_forgotten(sample),
        "lora-matrices": plots.lora_matrices(sample),
        "memory-by-part": plots.memory_by_part(sample),
        "one-base-many-adapters": machines.one_base_many_adapters(),
        "padding": diagrams.padding(sample),
        "site-and-worker": machines.site_and_worker(),
        "smallest-gain": plots.smallest_gain(),
        "the-loop": diagrams.the_loop(),
        "three-splits": plots.three_splits(sample),
        "three-stages": diagrams.three_stages(),
        "what-is-learned": diagrams.what_is_learned(sample),
        "when-to-stop": diagrams.when_to_stop(),
    }


def main(content_dir: Path) -> None:
    for slug, drawing in draw_all(content_dir).items():
        (content_dir / "figures" / f"{slug}.svg").write_text(drawing.svg(), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "content"))
