"""Which failures are tried again: those that a retry may cure, told by the exit code (DESIGN.md 5.1)."""

import re
from typing import Any

from airflow.sdk import RetryDecision, RetryPolicy

from pipeline.errors import SPEAKERS, InputError, UsageError

# As Airflow's operators for Spark and for commands say it.
EXIT_CODE = re.compile(r"(?:Error code is: |exit code is: |exit code )(-?\d+)")
SPOKEN_REASON = re.compile(rf"^(?:{'|'.join(SPEAKERS)})(.+)", re.MULTILINE | re.DOTALL)
FINAL = {InputError.exit_code: "the input or a gate failed", UsageError.exit_code: "the command was called wrongly"}


def reason_in(text: str) -> str | None:
    """Return what a step said of its failure, out of the end of its log that an operator quotes."""
    told = SPOKEN_REASON.search(text)
    return told[1].strip() if told else None


class RetryByExitCode(RetryPolicy):
    """Never tries a step again that said that its input is at fault; all else as often as the task allows."""

    def evaluate(self, exception: BaseException, try_number: int, max_tries: int, context: Any = None) -> RetryDecision:
        """Decide by the exception of a failed task."""
        if isinstance(exception, InputError | UsageError):
            return RetryDecision.fail(reason=f"{FINAL[exception.exit_code]}: a retry cannot help")
        text = str(exception)
        final = next((FINAL[int(code)] for code in EXIT_CODE.findall(text) if int(code) in FINAL), None)
        # A JVM that cannot start ends with 1 as well, but without a word of ours.
        is_jvm_failure = "spark-submit" in text and reason_in(text) is None
        if final is None or is_jvm_failure:
            return RetryDecision.default()
        return RetryDecision.fail(reason=f"{final}: a retry cannot help")

    def serialize(self) -> dict[str, Any]:
        """Return what Airflow keeps of it: it has no settings."""
        return {}
