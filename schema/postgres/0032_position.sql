-- +goose Up

-- An index of all rows by building and position serves whoever looks a record up by its key,
-- too, as far as the planner knows: where buildings hold a row or two each, it takes that
-- index as gladly as the primary key, keeps the plan, and walks a whole building for each
-- record once there is a large one. No look-up by key says that the position is above zero,
-- so this index serves the feed alone.
DROP INDEX record_position;
CREATE UNIQUE INDEX record_position ON record (building, position) WHERE position > 0;
