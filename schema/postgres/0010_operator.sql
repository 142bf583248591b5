-- What belongs to no building and never leaves the cloud: accounts, their sessions, the
-- nodes that may replicate, and the cloud's own keys.

-- +goose Up

CREATE TABLE account (
    id            uuid        NOT NULL PRIMARY KEY,
    email         text        NOT NULL UNIQUE,
    name          text        NOT NULL,
    password_hash text        NOT NULL,
    admin         boolean     NOT NULL DEFAULT false,
    disabled      boolean     NOT NULL DEFAULT false,
    created_at    timestamptz NOT NULL
);

CREATE TABLE account_membership (
    account  uuid    NOT NULL REFERENCES account (id),
    building uuid    NOT NULL,
    role     text    NOT NULL,
    units    uuid[]  NOT NULL DEFAULT '{}',
    active   boolean NOT NULL DEFAULT true,
    PRIMARY KEY (account, building)
);

CREATE INDEX account_membership_building ON account_membership (building);

-- Accounts whose membership records of a building are to be brought up to date. Written in
-- the transaction that changed the account; the job deletes the row it has done.
CREATE TABLE projection_job (
    building  uuid        NOT NULL,
    account   uuid        NOT NULL REFERENCES account (id),
    version   bigint      NOT NULL DEFAULT 1,
    queued_at timestamptz NOT NULL,
    PRIMARY KEY (building, account)
);

CREATE TABLE session (
    hash       bytea       NOT NULL PRIMARY KEY,
    family     uuid        NOT NULL,
    person     uuid        NOT NULL,
    client_id  text        NOT NULL,
    agent      text        NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    resent     boolean     NOT NULL,
    rotated_at timestamptz,
    successor  bytea,
    revoked_at timestamptz
);

CREATE INDEX session_family ON session (family);
CREATE INDEX session_person ON session (person);
CREATE INDEX session_expires ON session (expires_at);

CREATE TABLE enrolment (
    hash       bytea       NOT NULL PRIMARY KEY,
    building   uuid        NOT NULL,
    created_by uuid        NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_at    timestamptz,
    used_by    uuid
);

-- Edges that were let in. A revoked one keeps its row: its cards are still genuine.
CREATE TABLE edge_node (
    id           uuid        NOT NULL PRIMARY KEY,
    building     uuid        NOT NULL,
    public_key   bytea       NOT NULL,
    enrolled_at  timestamptz NOT NULL,
    revoked_at   timestamptz,
    last_seen_at timestamptz,
    state        jsonb       NOT NULL DEFAULT '{}'
);

CREATE INDEX edge_node_building ON edge_node (building);

-- The cloud's node key and token key, shared by its processes.
CREATE TABLE cloud_key (
    name       text        NOT NULL PRIMARY KEY,
    seed       bytea       NOT NULL,
    created_at timestamptz NOT NULL
);
