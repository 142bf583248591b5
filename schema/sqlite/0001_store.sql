-- The generic tables of a store. The encoded record is the truth; the tables of kinds are
-- made from it by the store itself. No foreign or unique keys between replicated records.

-- +goose Up

-- One row per building: the identity and counters of its write path.
CREATE TABLE building_state (
    building     BLOB    NOT NULL PRIMARY KEY,
    boot         BLOB    NOT NULL,
    replica      BLOB    NOT NULL,
    n            INTEGER NOT NULL,
    head         BLOB    NOT NULL,
    stamp        INTEGER NOT NULL,
    clock_offset INTEGER NOT NULL,
    position     INTEGER NOT NULL
) STRICT;

CREATE TABLE record (
    building BLOB    NOT NULL,
    kind     TEXT    NOT NULL,
    id       BLOB    NOT NULL,
    position INTEGER NOT NULL,
    body     BLOB    NOT NULL,
    PRIMARY KEY (building, kind, id)
) STRICT;

CREATE UNIQUE INDEX record_position ON record (building, position);

-- Position zero: the event waits for the ones before it.
CREATE TABLE event (
    building BLOB    NOT NULL,
    replica  BLOB    NOT NULL,
    n        INTEGER NOT NULL,
    hash     BLOB    NOT NULL,
    body     BLOB    NOT NULL,
    details  BLOB,
    position INTEGER NOT NULL,
    PRIMARY KEY (building, replica, n)
) STRICT;

CREATE UNIQUE INDEX event_position ON event (building, position) WHERE position > 0;

-- predecessor repeats what the card says, for walking a lineage in one query.
CREATE TABLE chain (
    building    BLOB    NOT NULL,
    replica     BLOB    NOT NULL,
    card        BLOB,
    predecessor BLOB,
    held        INTEGER NOT NULL,
    hash        BLOB    NOT NULL,
    signed      BLOB,
    receipted   INTEGER NOT NULL,
    receipt     BLOB,
    PRIMARY KEY (building, replica)
) STRICT;

CREATE TABLE phone_touch (
    building BLOB    NOT NULL,
    kind     TEXT    NOT NULL,
    id       BLOB    NOT NULL,
    field    TEXT    NOT NULL,
    replica  BLOB    NOT NULL,
    n        INTEGER NOT NULL,
    covered  INTEGER NOT NULL,
    refused  INTEGER NOT NULL,
    PRIMARY KEY (building, kind, id, field, replica, n)
) STRICT, WITHOUT ROWID;

CREATE INDEX phone_touch_unsettled ON phone_touch (building, replica, n) WHERE covered = 0 AND refused = 0;

-- theirs: a record of ours that the peer holds back.
CREATE TABLE quarantine (
    building BLOB    NOT NULL,
    peer     BLOB    NOT NULL,
    theirs   INTEGER NOT NULL,
    kind     TEXT    NOT NULL,
    id       BLOB    NOT NULL,
    code     TEXT    NOT NULL,
    detail   TEXT    NOT NULL,
    since    INTEGER NOT NULL,
    body     BLOB,
    PRIMARY KEY (building, peer, theirs, kind, id)
) STRICT;

CREATE INDEX quarantine_since ON quarantine (building, peer, theirs, since);

CREATE TABLE peer_cursor (
    building   BLOB    NOT NULL,
    peer       BLOB    NOT NULL,
    generation BLOB    NOT NULL,
    view       BLOB    NOT NULL,
    position   INTEGER NOT NULL,
    PRIMARY KEY (building, peer)
) STRICT;

-- What the tables of kinds were last made from: one row per kind.
CREATE TABLE projection (
    kind        TEXT NOT NULL PRIMARY KEY,
    fingerprint TEXT NOT NULL
) STRICT;
