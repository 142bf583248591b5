-- Of two branches of a chain, a signed head proves the one that is held here.

-- +goose Up

-- proof: the highest head over an event that is held, where the highest of all (signed) is
-- beyond them.
ALTER TABLE chain ADD COLUMN proof BLOB;
