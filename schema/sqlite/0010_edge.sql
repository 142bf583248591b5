-- What belongs to this box and is never replicated: sign-ins, its enrolment, the blobs that
-- wait for the cloud, the last state of sensors, and the logins of devices.

-- +goose Up

CREATE TABLE session (
    hash       BLOB    NOT NULL PRIMARY KEY,
    family     BLOB    NOT NULL,
    person     BLOB    NOT NULL,
    client_id  TEXT    NOT NULL,
    agent      TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    resent     INTEGER NOT NULL,
    rotated_at INTEGER,
    successor  BLOB,
    revoked_at INTEGER
) STRICT;

CREATE INDEX session_family ON session (family);
CREATE INDEX session_person ON session (person);
CREATE INDEX session_expires ON session (expires_at);

-- One row: where this box was enrolled, and what it needs to work without network for ever.
CREATE TABLE enrolment (
    only_one    INTEGER NOT NULL PRIMARY KEY CHECK (only_one = 1),
    node        BLOB    NOT NULL,
    building    BLOB    NOT NULL,
    cloud_url   TEXT    NOT NULL,
    server      TEXT    NOT NULL,
    cloud_key   BLOB    NOT NULL,
    enrolled_at INTEGER NOT NULL
) STRICT;

-- Public keys whose tokens are accepted here, besides this box's own.
CREATE TABLE token_key (
    public_key BLOB NOT NULL PRIMARY KEY,
    issuer     TEXT NOT NULL
) STRICT;

-- Blobs that wait for the cloud (up) or are wanted from it (down).
CREATE TABLE blob_queue (
    direction TEXT    NOT NULL CHECK (direction IN ('up', 'down')),
    hash      BLOB    NOT NULL,
    bytes     INTEGER NOT NULL,
    thumb     INTEGER NOT NULL,
    added_at  INTEGER NOT NULL,
    metadata  TEXT    NOT NULL,
    attempts  INTEGER NOT NULL DEFAULT 0,
    retry_at  INTEGER NOT NULL DEFAULT 0,
    code      TEXT    NOT NULL DEFAULT '',
    resume    TEXT    NOT NULL DEFAULT '',
    PRIMARY KEY (direction, hash)
) STRICT;

CREATE INDEX blob_queue_next ON blob_queue (direction, thumb DESC, added_at);

-- Up to where the building's feed was searched for blobs to move.
CREATE TABLE blob_scan (
    building BLOB    NOT NULL PRIMARY KEY,
    position INTEGER NOT NULL
) STRICT;

CREATE TABLE sensor_state (
    hardware   TEXT    NOT NULL,
    kind       TEXT    NOT NULL,
    value      INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    seen_at    INTEGER NOT NULL,
    PRIMARY KEY (hardware, kind)
) STRICT;

CREATE TABLE gateway_name (
    base     TEXT NOT NULL,
    name     TEXT NOT NULL,
    hardware TEXT NOT NULL,
    PRIMARY KEY (base, name)
) STRICT;

-- Alarms that are open, so that a restart neither forgets nor repeats one.
CREATE TABLE open_alarm (
    hardware TEXT    NOT NULL,
    kind     TEXT    NOT NULL,
    since    INTEGER NOT NULL,
    name     TEXT    NOT NULL,
    flapping INTEGER NOT NULL,
    detail   TEXT    NOT NULL,
    PRIMARY KEY (hardware, kind)
) STRICT;

-- Logins of devices and gateways at the embedded broker. The secret has 256 random bits, so
-- a plain hash of it may be kept.
CREATE TABLE mqtt_login (
    username   TEXT    NOT NULL PRIMARY KEY,
    secret     BLOB    NOT NULL,
    gateway    INTEGER NOT NULL,
    base       TEXT    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;
