-- Why were lines rejected, and where is the first one of each reason? The text of a line may name a person: it is left out.
SELECT
    source,
    reason,
    count(*) AS line_count,
    min_by(detail, (file, line)) AS detail,
    min_by(split_part(file, '/', -1) || ':' || line, (file, line)) AS first_line
FROM rejects
WHERE arrival_day = $day
GROUP BY source, reason
ORDER BY line_count DESC, source, reason
