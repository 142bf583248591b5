-- Erased transactions: their values and salts are gone, and are dropped wherever they come
-- from again. by_replica and by_n name the event that erased them.

-- +goose Up

CREATE TABLE erasure (
    building   uuid   NOT NULL,
    replica    uuid   NOT NULL,
    n          bigint NOT NULL,
    by_replica uuid   NOT NULL,
    by_n       bigint NOT NULL,
    PRIMARY KEY (building, replica, n)
);
