"""Every word by which a program can tell why a request was refused. More may come; none of these goes."""

from typing import Final, Literal, cast, get_args

from avalua_client.tables.table import TableError

ErrorCode = Literal[
    "bad_request",
    "body_timeout",
    "body_too_large",
    "expectation_failed",
    "foreign_origin",
    "header_too_large",
    "idempotency_key_reused",
    "internal_error",
    "invalid_body",
    "invalid_host",
    "invalid_idempotency_key",
    "invalid_items",
    "invalid_json",
    "invalid_last_event_id",
    "job_expired",
    "job_not_found",
    "method_not_allowed",
    "model_not_loaded",
    "no_items",
    "not_a_table",
    "not_found",
    "shutting_down",
    "storage_unavailable",
    "too_many_connections",
    "too_many_exports",
    "too_many_items",
    "too_many_jobs",
    "too_many_uploads",
    "too_many_values",
    "unknown_column",
    "unknown_format",
    "unknown_host",
    "unknown_locale",
    "unsupported_encoding",
    "unsupported_media_type",
    # of files: avalua_client.tables
    "ambiguous_column",
    "cell_too_long",
    "damaged_workbook",
    "empty_table",
    "file_too_large",
    "invalid_table_option",
    "missing_column",
    "no_rows",
    "not_text",
    "too_many_cells",
    "too_many_columns",
    "too_many_rows",
    "unclosed_quote",
    "unknown_encoding",
    "unknown_field",
    "unknown_separator",
    "unknown_sheet",
    "unsupported_workbook",
    "workbook_too_large",
    "wrong_encoding",
]
ERRORS: Final[tuple[ErrorCode, ...]] = get_args(ErrorCode)
ROW_PROBLEMS: Final = ("empty_cell", "not_an_item", "unreadable_cell")


def code_of(error: TableError) -> ErrorCode:
    """The word of what is wrong with a file. A test holds that none is missing above."""
    return cast(ErrorCode, error.code)
