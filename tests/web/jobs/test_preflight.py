"""What the data stage found out, prepared for the page."""

from django.template.loader import render_to_string

from playbook.contracts.events import EVENT, Configured, Preflight, SampleRow
from playbook.contracts.run_spec import LoraSettings
from playbook.web.jobs.preflight import RUN_BEGIN, RUN_END, Run, Setting, sample_of, settings_of, view_of
from tests.web.jobs.announced import ENDLESS, GB, SAMPLE, configured, preflight, tokens_of
from tests.web.jobs.factories import AT, make_spec


def event(**changes: object) -> Preflight:
    found = EVENT.validate_python({"at": AT, **preflight(**changes)})  # type: ignore[arg-type]
    assert isinstance(found, Preflight)
    return found


def test_tokens_are_runs_of_learned_and_read_with_breaks_made_visible() -> None:
    sample = sample_of(SampleRow.model_validate(SAMPLE))
    assert sample.runs == (
        Run(False, ("<|user|>↵\n", "Why <b>?"), 0, ()),
        Run(True, ("Be", "cause", "<|end|>"), 0, ()),
    )
    assert sample.summary == "5 tokens, 3 of them learned (tokens 3 to 5)."


def test_of_a_long_run_begin_and_end_are_shown_so_that_what_is_learned_is_never_out_of_sight() -> None:
    tokens = tokens_of(*((str(number), number > 1500) for number in range(1600)))
    read, learned = sample_of(SampleRow.model_validate({**SAMPLE, "tokens": tokens})).runs
    assert read.tokens == tuple(str(number) for number in range(RUN_BEGIN))
    assert read.left_out == 1501 - RUN_BEGIN - RUN_END
    assert read.end == tuple(str(number) for number in range(1501 - RUN_END, 1501))
    assert learned == Run(True, tuple(str(number) for number in range(1501, 1600)), 0, ())


def test_the_page_says_how_many_tokens_of_a_run_it_leaves_out() -> None:
    tokens = tokens_of(*((str(number), number >= 10) for number in range(200)))
    sample = sample_of(SampleRow.model_validate({**SAMPLE, "tokens": tokens}))
    page = render_to_string("jobs/_sample.html", {"sample": sample})
    assert '<span>9</span><mark><span class="visually-hidden">learned: </span><span>10</span>' in page
    assert '<span>69</span></mark><em class="muted"> … 90 tokens left out … </em><mark><span>160</span>' in page
    assert "200 tokens, 190 of them learned (tokens 11 to 200)." in page


def test_a_row_without_a_learned_token_says_so() -> None:
    sample = sample_of(SampleRow.model_validate({**SAMPLE, "tokens": tokens_of(("a", False))}))
    assert sample.summary == "1 token, 0 of them learned (none)."


def test_view_counts_endings_lost_lines_and_memory() -> None:
    found = event(samples=[SAMPLE, ENDLESS], dropped_rows=3, truncated_rows=2, lost_lines=[4, 5], lost_tokens=9)
    view = view_of(found)
    assert [(split.name, split.more_lines) for split in view.splits] == [("train", 3), ("test", 0)]
    assert (len(view.samples), view.sample_rows, view.ending_rows) == (1, 2, 1)
    assert view.memory == (("base weights", 2 * GB), ("adapter", GB // 2), ("activations", GB))
    assert view.memory_total == 3 * GB + GB // 2
    assert view.memory_plot is not None
    assert view.memory_plot.summary.startswith("Estimate: 3.5 GB, of which base weights 2.0 GB")


def test_a_part_that_takes_no_memory_is_left_out() -> None:
    found = event().model_copy(update={"memory_bytes": {"base_weights": GB, "prepacked_weights": 0, "adapter": 0}})
    assert view_of(found).memory == (("base weights", GB),)


def test_without_an_estimate_there_is_no_bar() -> None:
    assert view_of(event().model_copy(update={"memory_bytes": {}})).memory_plot is None


def test_a_setting_that_the_trainer_changed_stands_beside_what_was_asked_for() -> None:
    found = EVENT.validate_python({"at": AT, **configured(max_length=256, target_modules="q_proj, v_proj", r=16)})
    assert isinstance(found, Configured)
    assert settings_of(found, make_spec()) == [
        Setting("compute_dtype", "bfloat16", None),
        Setting("max_length", "256", "512"),
        Setting("target_modules", "q_proj, v_proj", "all-linear"),
        Setting("r", "16", None),
    ]


def test_a_list_that_the_trainer_changed_is_told_too() -> None:
    spec = make_spec()
    spec = spec.model_copy(update={"lora": LoraSettings(target_modules=("q_proj", "v_proj"))})
    arms = ", ".join(spec.evaluation.arms)

    def asked(**effective: object) -> dict[str, str | None]:
        found = EVENT.validate_python({"at": AT, **configured(**effective)})
        assert isinstance(found, Configured)
        return {setting.name: setting.asked for setting in settings_of(found, spec)}

    assert asked(target_modules="q_proj, v_proj")["target_modules"] is None
    assert asked(target_modules="q_proj")["target_modules"] == "q_proj, v_proj"
    assert asked(arms=arms)["arms"] is None
    assert asked(arms=f"{arms}, lora")["arms"] == arms
    assert asked(early_stopping_patience=3)["early_stopping_patience"] == "none"
