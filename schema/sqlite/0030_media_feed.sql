-- +goose Up

-- The files of a building's records are looked for after each change: not among all of them.
-- IS, not =: the planner would look at the value of each parameter that a kind is compared
-- with, to see whether this index fits, and plan those statements anew at each run.
CREATE INDEX record_media ON record (building, position) WHERE kind IS 'media';
