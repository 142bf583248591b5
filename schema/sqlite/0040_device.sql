-- What devices and gateways told of themselves, as it came: it is read again at each start, by
-- a program that may understand more of it.

-- +goose Up

CREATE TABLE announcement (
    topic    TEXT    NOT NULL PRIMARY KEY,
    payload  BLOB    NOT NULL,
    heard_at INTEGER NOT NULL
) STRICT;

DROP TABLE gateway_name;
