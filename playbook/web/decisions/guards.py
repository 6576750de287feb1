"""What the database itself refuses on decisions and signatures, whoever asks."""

from playbook.web.common.guards import Guard, append_only

#: Fixed for good when the first run starts.
FROZEN = (
    "criterion_metric",
    "criterion_arm",
    "criterion_threshold",
    "criterion_test_set",
    "locked_test_set",
    "forecast_probability",
    "forecast_value",
    "kill_criterion",
    "criterion_locked_at",
)

GUARDS = (
    *append_only("decisions.Signature", "signature", "signatures"),
    Guard(
        "decision_promise_fixed",
        "decisions.Decision",
        "UPDATE",
        "criterion, forecast and kill criterion are fixed since the first run started",
        when="OLD.criterion_locked_at IS NOT NULL AND ("
        + " OR ".join(f"NEW.{column} {{differs}} OLD.{column}" for column in FROZEN)
        + ")",
    ),
    Guard("decision_no_delete", "decisions.Decision", "DELETE", "decisions are retired, never deleted"),
)
