-- The fork remedy: where a chain has two branches, and the events that lie beside it.

-- +goose Up

-- fork: the first number with two branches, zero for none. cut: the fork of which this
-- store's records are rid.
ALTER TABLE chain ADD COLUMN fork bigint NOT NULL DEFAULT 0;
ALTER TABLE chain ADD COLUMN cut bigint NOT NULL DEFAULT 0;

-- Events of a forked chain, kept as evidence: two may have one number.
CREATE TABLE branch_event (
    building uuid   NOT NULL,
    replica  uuid   NOT NULL,
    n        bigint NOT NULL,
    hash     bytea  NOT NULL,
    body     bytea  NOT NULL,
    details  bytea,
    PRIMARY KEY (building, replica, n, hash)
);
