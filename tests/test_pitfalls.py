"""What users of other trainers complain about in public, and which test of ours keeps it from happening here.

A map for the reader: each symptom, where it was seen, and the tests that would fail. A test that is renamed fails here.
"""

import ast
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent

#: symptom (seen in) → tests, as `file::function` below `tests/`.
PITFALLS: dict[str, tuple[str, ...]] = {
    "Samples over the maximum length are cut in silence (transformers 30998, axolotl 1066)": (
        "trainer/test_run.py::test_a_long_row_is_refused_by_line",
        "trainer/test_run.py::test_a_long_row_is_dropped_or_truncated_and_counted",
        "trainer/test_learned.py::test_a_cut_takes_words_from_what_is_read_and_never_from_what_is_learned",
        "web/jobs/test_signs.py::test_rows_that_are_dropped_or_cut_are_counted_by_split",
    ),
    "A setting is ignored (unsloth 2904)": (
        "trainer/test_run.py::test_the_configuration_shown_is_the_one_used",
        "web/jobs/test_preflight.py::test_a_list_that_the_trainer_changed_is_told_too",
        "web/jobs/test_live.py::test_preflight_shows_tokens_lost_lines_mask_memory_and_configuration",
    ),
    "All labels are masked: loss 0.0, and the run looks fine (trl 3927)": (
        "trainer/test_run.py::test_nothing_is_left_to_learn_when_every_row_is_dropped",
        "trainer/test_prompt.py::test_a_template_that_would_train_the_wrong_thing_is_refused",
        "trainer/test_preflight.py::test_statistics_are_of_tokens_and_count_what_was_lost",
    ),
    "The label mask is silently lost (trl 3781)": (
        "trainer/test_prompt.py::test_only_the_answer_and_its_end_of_turn_are_learned",
        "trainer/test_train.py::test_labels_are_the_answers_shifted_by_one",
        "trainer/test_preflight.py::test_the_preflight_shows_the_template_with_its_mask_before_training",
    ),
    "pad is eos, or eos is never in the labels: the model does not stop (trl 976, unsloth 416, alpaca 126)": (
        "trainer/test_learned.py::test_padding_by_the_end_token_leaves_the_end_of_the_answer_learned",
        "trainer/test_prompt.py::test_a_template_without_end_of_turn_gets_one",
        "web/jobs/test_signs.py::test_a_turn_that_is_not_ended_names_its_rows",
        "trainer/test_generate.py::test_an_answer_without_an_end_is_cut",
        "scoring/test_verdict.py::test_failed_and_cut_rows_are_told",
    ),
    "Duplicated begin token (mlx-examples 1095)": (
        "trainer/test_prompt.py::test_a_template_that_would_train_the_wrong_thing_is_refused",
        "trainer/test_prompt.py::test_evaluation_asks_with_the_very_ids_of_training",
    ),
    "Resume is broken with adapters (transformers 35850, 24354, 29607)": (
        "trainer/test_process.py::test_a_killed_run_resumes_on_the_same_loss_curve",
    ),
    "A pickled checkpoint executes code (transformers 43140, CVE-2026-1839)": (
        "trainer/test_run.py::test_the_adapter_folder_is_complete_and_names_no_path_of_this_machine",
        "trainer/test_run.py::test_pickled_weights_are_never_read",
        "worker/test_artifacts.py::test_pack_refuses_what_could_run_code",
        "web/jobs/test_protocol_artifacts.py::test_zip_with_anything_but_plain_data_is_refused",
    ),
    "A run cannot be aborted; the GPU stays busy (LLaMA-Factory 3978, 7527)": (
        "worker/test_jobs.py::test_cancel_ends_the_whole_process_group",
    ),
    "Training stalls when the browser closes (LLaMA-Factory 8485)": (
        "worker/test_jobs.py::test_site_restart_in_mid_job_loses_nothing",
    ),
    "Memory is held after the model was unloaded (LLaMA-Factory 8058)": (
        "worker/test_jobs.py::test_each_job_runs_in_a_process_of_its_own_that_ends_with_it",
    ),
    "Gradient accumulation changes the loss (transformers 34191)": (
        "trainer/test_train.py::test_one_batch_of_eight_and_eight_batches_of_one_are_the_same_run",
    ),
    "Packing lets examples see each other (trl 3067)": (
        "trainer/test_packing.py::test_packed_rows_give_the_logits_that_each_gives_alone",
        "trainer/test_packing.py::test_packing_that_would_change_a_logit_is_switched_off_and_said",
    ),
    "Out of memory in evaluation, not in training (transformers 8476, qlora 261)": (
        "trainer/test_memory_held.py::test_logits_of_a_batch_are_gone_before_the_next_one",
        "trainer/test_memory_held.py::test_logits_are_computed_at_learned_tokens_alone",
        "trainer/test_generate.py::test_a_batch_too_large_for_the_memory_is_asked_in_halves",
        "trainer/test_out_of_memory.py::test_losses_that_do_not_fit_the_memory_together_are_measured_in_halves",
        "worker/test_jobs.py::test_a_run_that_fails_while_it_measures_hands_over_what_it_had_tuned_and_measured",
    ),
    "Test rows drawn from train; conversations split across both (h2o-llmstudio 422)": (
        "datasets/test_splits.py::test_rows_of_one_group_stay_together",
        "datasets/test_splits.py::test_equal_prompts_land_in_one_split",
        "datasets/test_splits.py::test_rows_that_come_go_or_move_leave_the_others_in_their_split",
        "datasets/test_checks.py::test_thirteen_shared_words_and_near_duplicates_across_train_and_test_are_told",
        "datasets/test_bad_files.py::test_test_rows_equal_to_train_rows_are_refused_with_both_lines",
        "web/jobs/test_launch.py::test_a_dataset_without_a_locked_test_split_is_refused",
    ),
    "A merged or converted model is worse than the adapter (unsloth 2374, peft 2321)": (
        "trainer/test_export.py::test_an_export_that_is_not_the_trained_model_shows_in_the_difference",
        "trainer/test_merge.py::test_the_merged_model_answers_as_the_adapter_and_is_measured_again",
    ),
    "Forgetting goes unnoticed (LLaMA-Factory 2611)": (
        "trainer/test_retention.py::test_every_run_with_tuning_measures_it_before_and_after",
        "trainer/test_retention.py::test_what_is_lost_over_a_limit_becomes_a_warning",
    ),
    "KeyError: 'messages' (autotrain-advanced 908, 840)": (
        "datasets/test_bad_files.py::test_all_problems_are_found_in_one_pass_with_their_lines",
        "trainer/test_run.py::test_a_bad_line_ends_the_run_with_its_number_and_the_fix",
    ),
    "No queue, no priority (unsloth 7059, h2o-llmstudio 387)": (
        "web/jobs/test_actions.py::test_claim_takes_priority_then_age_and_only_offered_base_models",
        "web/jobs/test_pages.py::test_the_list_shows_position_and_priority_in_the_queue",
    ),
}


@cache
def _functions(file: Path) -> frozenset[str]:
    return frozenset(node.name for node in ast.parse(file.read_text()).body if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize("symptom", PITFALLS)
def test_every_pitfall_has_tests_that_exist(symptom: str) -> None:
    named = [name.split("::") for name in PITFALLS[symptom]]
    assert named
    assert [(file, test) for file, test in named if test not in _functions(TESTS / file)] == []
