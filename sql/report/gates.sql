-- Which rules of the quality gates did the night break, within tolerance or as a warning?
SELECT
    entry.rule.rule AS rule,
    entry.rule.broken_count AS broken_rows,
    entry.rule.is_warning AS is_warning
FROM runs
CROSS JOIN unnest(gate) AS entry (rule)
WHERE step = 'audit' AND day = $day
ORDER BY is_warning DESC, broken_rows DESC, rule
