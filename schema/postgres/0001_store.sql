-- The generic tables of a store. The encoded record is the truth; the tables of kinds are
-- made from it by the store itself. No foreign or unique keys between replicated records.

-- +goose Up

-- One row per building: the identity and counters of its write path, and its lock. A row
-- that was only made to be locked is not stored yet.
CREATE TABLE building_state (
    building     uuid    NOT NULL PRIMARY KEY,
    stored       boolean NOT NULL DEFAULT false,
    boot         uuid    NOT NULL,
    replica      uuid    NOT NULL,
    n            bigint  NOT NULL,
    head         bytea   NOT NULL,
    stamp        bigint  NOT NULL,
    clock_offset bigint  NOT NULL,
    position     bigint  NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE record (
    building uuid   NOT NULL,
    kind     text   NOT NULL,
    id       uuid   NOT NULL,
    position bigint NOT NULL,
    body     bytea  NOT NULL,
    PRIMARY KEY (building, kind, id)
);

CREATE UNIQUE INDEX record_position ON record (building, position);

-- Position zero: the event waits for the ones before it.
CREATE TABLE event (
    building uuid   NOT NULL,
    replica  uuid   NOT NULL,
    n        bigint NOT NULL,
    hash     bytea  NOT NULL,
    body     bytea  NOT NULL,
    details  bytea,
    position bigint NOT NULL,
    PRIMARY KEY (building, replica, n)
);

CREATE UNIQUE INDEX event_position ON event (building, position) WHERE position > 0;

-- predecessor repeats what the card says, for walking a lineage in one query.
CREATE TABLE chain (
    building    uuid   NOT NULL,
    replica     uuid   NOT NULL,
    card        bytea,
    predecessor uuid,
    held        bigint NOT NULL,
    hash        bytea  NOT NULL,
    signed      bytea,
    receipted   bigint NOT NULL,
    receipt     bytea,
    PRIMARY KEY (building, replica)
) WITH (fillfactor = 70);

CREATE TABLE phone_touch (
    building uuid    NOT NULL,
    kind     text    NOT NULL,
    id       uuid    NOT NULL,
    field    text    NOT NULL,
    replica  uuid    NOT NULL,
    n        bigint  NOT NULL,
    covered  boolean NOT NULL,
    refused  boolean NOT NULL,
    PRIMARY KEY (building, kind, id, field, replica, n)
);

CREATE INDEX phone_touch_unsettled ON phone_touch (building, replica, n) WHERE NOT covered AND NOT refused;

-- theirs: a record of ours that the peer holds back.
CREATE TABLE quarantine (
    building uuid    NOT NULL,
    peer     uuid    NOT NULL,
    theirs   boolean NOT NULL,
    kind     text    NOT NULL,
    id       uuid    NOT NULL,
    code     text    NOT NULL,
    detail   text    NOT NULL,
    since    bigint  NOT NULL,
    body     bytea,
    PRIMARY KEY (building, peer, theirs, kind, id)
);

CREATE INDEX quarantine_since ON quarantine (building, peer, theirs, since);

CREATE TABLE peer_cursor (
    building   uuid   NOT NULL,
    peer       uuid   NOT NULL,
    generation uuid   NOT NULL,
    view       bytea  NOT NULL,
    position   bigint NOT NULL,
    PRIMARY KEY (building, peer)
);

-- What the tables of kinds were last made from: one row per kind.
CREATE TABLE projection (
    kind        text NOT NULL PRIMARY KEY,
    fingerprint text NOT NULL
);
