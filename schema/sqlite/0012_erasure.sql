-- Erased transactions: their values and salts are gone, and are dropped wherever they come
-- from again. by_replica and by_n name the event that erased them.

-- +goose Up

CREATE TABLE erasure (
    building   BLOB    NOT NULL,
    replica    BLOB    NOT NULL,
    n          INTEGER NOT NULL,
    by_replica BLOB    NOT NULL,
    by_n       INTEGER NOT NULL,
    PRIMARY KEY (building, replica, n)
) STRICT, WITHOUT ROWID;
