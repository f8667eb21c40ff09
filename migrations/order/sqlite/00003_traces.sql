-- The W3C traceparent of the call that placed each order, for whoever drives it on much later
-- to link its trace to; NULL if nobody records it.

-- +goose Up
ALTER TABLE orders ADD COLUMN traceparent CHAR(55) NULL;

-- +goose Down
ALTER TABLE orders DROP COLUMN traceparent;
