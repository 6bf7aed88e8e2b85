-- How healthy were the lines of each source on each day, and is its share of rejects above that of the week before?
-- One row per arrival day and source with landed lines. The week before is the 7 calendar days before the day.
-- day: arrival day
-- source: name of the source
-- lines_in_count: landed lines
-- accepted_count: lines that became events
-- duplicate_count: lines that are copies of events
-- reject_count: lines that were rejected
-- reject_share: rejects by lines of the day, 0 to 1; null where no line landed
-- duplicate_share: duplicates by lines of the day, 0 to 1; null where no line landed
-- reject_share_week_before: rejects by lines of the week before together; null where the source had none then
SELECT
    lines.day,
    lines.source,
    lines.lines_in_count,
    lines.accepted_count,
    lines.duplicate_count,
    lines.reject_count,
    CAST(lines.reject_count AS DOUBLE) / nullif(lines.lines_in_count, 0) AS reject_share,
    CAST(lines.duplicate_count AS DOUBLE) / nullif(lines.lines_in_count, 0) AS duplicate_share,
    CAST(sum(before.reject_count) AS DOUBLE) / nullif(sum(before.lines_in_count), 0) AS reject_share_week_before
FROM (
    SELECT
        day,
        source,
        rows_in AS lines_in_count,
        coalesce(rows_out['accepted'], 0) AS accepted_count,
        coalesce(rows_out['duplicates'], 0) AS duplicate_count,
        coalesce(rows_out['rejects'], 0) AS reject_count
    FROM runs
    WHERE step = 'clean' AND source <> ''
) AS lines
LEFT JOIN (
    SELECT day, source, rows_in AS lines_in_count, coalesce(rows_out['rejects'], 0) AS reject_count
    FROM runs
    WHERE step = 'clean'
) AS before
    ON before.source = lines.source AND before.day < lines.day AND before.day >= lines.day - INTERVAL 7 DAY
GROUP BY
    lines.day, lines.source, lines.lines_in_count, lines.accepted_count, lines.duplicate_count, lines.reject_count
