-- The fork remedy: where a chain has two branches, and the events that lie beside it.

-- +goose Up

-- fork: the first number with two branches, zero for none. cut: the fork of which this
-- store's records are rid.
ALTER TABLE chain ADD COLUMN fork INTEGER NOT NULL DEFAULT 0;
ALTER TABLE chain ADD COLUMN cut INTEGER NOT NULL DEFAULT 0;

-- Events of a forked chain, kept as evidence: two may have one number.
CREATE TABLE branch_event (
    building BLOB    NOT NULL,
    replica  BLOB    NOT NULL,
    n        INTEGER NOT NULL,
    hash     BLOB    NOT NULL,
    body     BLOB    NOT NULL,
    details  BLOB,
    PRIMARY KEY (building, replica, n, hash)
) STRICT;
