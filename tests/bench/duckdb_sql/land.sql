-- A log of JSON lines to numbered lines by arrival day: the work of pipeline/landing, in DuckDB.
-- Variables: log, out.
COPY (
    WITH files AS (
        SELECT parse_filename(filename) AS file, string_split(rtrim(content, E'\n'), E'\n') AS texts
        FROM read_text(getvariable('log'))
    ), lines AS (
        SELECT file, unnest(texts) AS text, generate_subscripts(texts, 1) AS line FROM files
    ), parsed AS (
        SELECT *, CASE WHEN json_valid(text) AND starts_with(ltrim(text), '{')
                       THEN from_json(text, '{"time": "VARCHAR", "received": "VARCHAR"}') END AS line_of
        FROM lines
    ), dated AS (
        SELECT file, line, text,
               coalesce(TRY_CAST(line_of.received AS TIMESTAMP), TRY_CAST(line_of.time AS TIMESTAMP))::DATE AS own_day
        FROM parsed
    )
    SELECT file, line, text,
           coalesce(last_value(own_day IGNORE NULLS) OVER so_far, first_value(own_day IGNORE NULLS) OVER whole_file) AS arrival_day
    FROM dated
    WINDOW so_far AS (PARTITION BY file ORDER BY line ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW),
           whole_file AS (PARTITION BY file ORDER BY line ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
) TO (getvariable('out') || '/landing') (FORMAT parquet, COMPRESSION zstd, PARTITION_BY (arrival_day), OVERWRITE);
