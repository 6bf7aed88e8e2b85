"""The functions that expressions of a TOML may call, and what each may do.

All are deterministic, read no file, call no code and raise no error that quotes a value. `tests/pipeline/sources/
test_sources_functions.py` compares them with all functions of Spark.
"""


def words(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())


TEXT = """
ascii base64 btrim char_length character_length chr concat concat_ws contains endswith hex ilike initcap instr lcase
left length levenshtein like locate lower lpad ltrim md5 parse_url position regexp_count regexp_extract
regexp_extract_all regexp_instr regexp_like regexp_replace regexp_substr replace reverse right rlike rpad rtrim sha
sha1 sha2 split split_part startswith substr substring substring_index translate trim try_parse_url try_url_decode ucase
upper url_encode
"""
CHOICES = """
coalesce equal_null greatest if ifnull isnan isnotnull isnull least nanvl nullif nullifzero nvl nvl2 zeroifnull
"""
NUMBERS = """
abs bround cbrt ceil ceiling conv crc32 degrees exp floor hash ln log log10 log2 mod negative pmod positive pow power
radians round sign signum sqrt try_add try_divide try_multiply try_subtract xxhash64
"""
TIMES = """
add_months date_add date_diff date_format date_from_unix_date date_sub date_trunc datediff day dayofmonth dayofweek
dayofyear epoch from_unixtime from_utc_timestamp hour last_day make_date minute month months_between quarter second
timestamp_micros timestamp_millis timestamp_seconds to_date to_timestamp to_unix_timestamp to_utc_timestamp trunc
try_to_timestamp unix_date unix_micros unix_millis unix_seconds unix_timestamp weekday weekofyear year
"""
TYPES = "bigint boolean date double float int smallint string timestamp tinyint"
LISTS = """
array array_append array_compact array_contains array_distinct array_except array_intersect array_join array_max
array_min array_position array_prepend array_remove array_size array_sort array_union cardinality element_at exists
filter flatten forall from_json get get_json_object json_array_length json_object_keys map map_concat map_contains_key
map_entries map_keys map_values named_struct size slice sort_array struct to_json transform try_element_at
"""
ALLOWED = words(" ".join((TEXT, CHOICES, NUMBERS, TIMES, TYPES, LISTS)))
CAST_FUNCTIONS = words(TYPES)

# Functions of one value among their arguments: it is as long as the longest.
PICKS_ONE = words(CHOICES)
# Functions whose value may hold constants only: an array of tags, say.
OF_CONSTANTS = frozenset({"array", "map", "named_struct", "struct"})
LAMBDA_FUNCTIONS = frozenset({"exists", "filter", "forall", "transform"})
# Arguments that must be literals, by position: a pattern, format, zone or index that comes from a line may be invalid.
# Spark's error then ends the night, and it quotes the line.
LITERAL_ARGUMENTS = {
    "array_join": (1, 2),
    "bround": (1,),
    "concat_ws": (0,),
    "conv": (1, 2),
    "date_format": (1,),
    "date_trunc": (0,),
    "element_at": (1,),
    "from_json": (1,),
    "from_unixtime": (1,),
    "from_utc_timestamp": (1,),
    "get_json_object": (1,),
    "ilike": (1, 2),
    "like": (1, 2),
    "lpad": (1, 2),
    "map": (0, 2, 4, 6, 8, 10, 12, 14, 16, 18),
    "parse_url": (1, 2),
    "regexp_count": (1,),
    "regexp_extract": (1, 2),
    "regexp_extract_all": (1, 2),
    "regexp_instr": (1, 2),
    "regexp_like": (1,),
    "regexp_replace": (1, 2, 3),
    "regexp_substr": (1,),
    "replace": (1, 2),
    "rlike": (1,),
    "round": (1,),
    "rpad": (1, 2),
    "sha2": (1,),
    "slice": (1, 2),
    "split": (1, 2),
    "split_part": (1, 2),
    "to_date": (1,),
    "to_timestamp": (1,),
    "to_unix_timestamp": (1,),
    "to_utc_timestamp": (1,),
    "trunc": (1,),
    "try_element_at": (1,),
    "try_parse_url": (1, 2),
    "try_to_timestamp": (1,),
    "unix_timestamp": (1,),
}
# Further arguments would set options such as FAILFAST, whose error quotes the line.
MOST_ARGUMENTS = {"array_sort": 1, "epoch": 1, "from_json": 2, "to_json": 1}
# How many characters one character of an argument may become.
FACTORS = {"base64": 2, "hex": 2, "to_json": 6, "url_encode": 9}
LONGEST_PADDING = 1_000
