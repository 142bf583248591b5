-- +goose Up

-- The files of a building's records are looked for after each change: not among all of them.
CREATE INDEX record_media ON record (building, position) WHERE kind = 'media';
