-- What became of the day's lines, by source?
SELECT
    source,
    rows_in AS lines,
    coalesce(rows_out['accepted'], 0) AS accepted,
    coalesce(rows_out['duplicates'], 0) AS duplicates,
    coalesce(rows_out['rejects'], 0) AS rejects
FROM runs
WHERE step = 'clean' AND day = $day AND source <> ''
ORDER BY source
