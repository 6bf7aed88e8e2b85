-- Was each day complete: lines in, outcomes, rows made, and how long did it take?
-- One row per day. Each day of a run over several days shows the time and the warnings of the whole run.
-- day: arrival day and as-of day
-- lines_in_count: landed lines
-- accepted_count: lines that became events
-- duplicate_count: lines that are copies of events
-- reject_count: lines that were rejected
-- reject_share: rejects by lines, 0 to 1; null where no line landed
-- session_count: sessions that the night wrote
-- sequence_count: sequences that the night wrote
-- profile_count: profiles that the night wrote
-- warning_count: rules of quality gates that warned
-- seconds: wall time of all steps, seconds
SELECT
    step_days.day,
    CAST(sum(CASE WHEN step_days.step = 'clean' THEN step_days.rows_in ELSE 0 END) AS BIGINT) AS lines_in_count,
    CAST(sum(coalesce(step_days.rows_out['accepted'], 0)) AS BIGINT) AS accepted_count,
    CAST(sum(coalesce(step_days.rows_out['duplicates'], 0)) AS BIGINT) AS duplicate_count,
    CAST(sum(coalesce(step_days.rows_out['rejects'], 0)) AS BIGINT) AS reject_count,
    sum(coalesce(step_days.rows_out['rejects'], 0))
    / nullif(sum(CASE WHEN step_days.step = 'clean' THEN step_days.rows_in ELSE 0 END), 0) AS reject_share,
    CAST(sum(coalesce(step_days.rows_out['sessions'], 0)) AS BIGINT) AS session_count,
    CAST(sum(coalesce(step_days.rows_out['sequences'], 0)) AS BIGINT) AS sequence_count,
    CAST(sum(coalesce(step_days.rows_out['profiles'], 0)) AS BIGINT) AS profile_count,
    CAST(sum(coalesce(array_length(list_filter(step_days.gate, lambda one: one.is_warning)), 0)) AS BIGINT) AS warning_count,
    -- `clean` has a row per source; each shows the time of the whole step.
    sum(step_days.seconds / step_days.rows_of_step) AS seconds
FROM (
    SELECT step, day, rows_in, rows_out, gate, seconds, count(*) OVER (PARTITION BY day, step) AS rows_of_step
    FROM runs
) AS step_days
GROUP BY step_days.day
