-- What devices measured, as their boxes send it: quarters of an hour, and the single readings
-- around alarms. Buckets are in seconds, other times in milliseconds.

-- +goose Up

CREATE TABLE series (
    id       bigint   GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    building uuid     NOT NULL,
    hardware text     NOT NULL,
    key      text     NOT NULL,
    unit     text     NOT NULL,
    kind     text     NOT NULL,
    type     smallint NOT NULL,
    UNIQUE (building, hardware, key, unit, type)
);

CREATE TABLE rollup (
    series  bigint           NOT NULL,
    bucket  bigint           NOT NULL,
    n       bigint           NOT NULL,
    low     double precision NOT NULL,
    high    double precision NOT NULL,
    sum     double precision NOT NULL,
    last    double precision NOT NULL,
    last_at bigint           NOT NULL,
    PRIMARY KEY (series, bucket)
);

CREATE TABLE reading (
    series  bigint           NOT NULL,
    at      bigint           NOT NULL,
    value   double precision NOT NULL,
    text    text             NOT NULL,
    arrival bigint           NOT NULL,
    PRIMARY KEY (series, at, value, text)
);
