-- The W3C traceparent of the message or call that made each reservation, for whoever drives it on much later
-- to link its trace to; NULL if nobody records it.

-- +goose Up
ALTER TABLE reservations ADD COLUMN traceparent CHAR(55) NULL;

-- +goose Down
ALTER TABLE reservations DROP COLUMN traceparent;
