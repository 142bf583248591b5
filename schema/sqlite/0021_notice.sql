-- +goose Up

-- What happened in replication that an operator must know: one row per building, node and
-- code, counted.
CREATE TABLE notice (
    building BLOB    NOT NULL,
    node     BLOB    NOT NULL,
    code     TEXT    NOT NULL,
    first_at INTEGER NOT NULL,
    last_at  INTEGER NOT NULL,
    count    INTEGER NOT NULL,
    PRIMARY KEY (building, node, code)
) STRICT;
