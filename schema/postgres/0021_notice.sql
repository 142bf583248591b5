-- +goose Up

-- What happened in replication that an operator must know: one row per building, node and
-- code, counted.
CREATE TABLE notice (
    building uuid        NOT NULL,
    node     uuid        NOT NULL,
    code     text        NOT NULL,
    first_at timestamptz NOT NULL,
    last_at  timestamptz NOT NULL,
    count    bigint      NOT NULL,
    PRIMARY KEY (building, node, code)
);

-- The latest runs of each edge. A run that speaks again after a later one began means that
-- two programs use one key.
CREATE TABLE edge_run (
    node       uuid        NOT NULL,
    generation uuid        NOT NULL,
    first_at   timestamptz NOT NULL,
    PRIMARY KEY (node, generation)
);
