-- What the sweeper, lists, timelines and adjustments need.
-- Rows of programs that do not know the new columns are due for the sweeper at once:
-- it looks at them and puts the columns right.

-- +goose Up
ALTER TABLE reservations ADD COLUMN customer_id VARCHAR(64) NOT NULL DEFAULT '';
ALTER TABLE reservations ADD COLUMN sweep_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE reservations ADD COLUMN sweep_count BIGINT NOT NULL DEFAULT 0;

-- Only what is RESERVED is ever past its due time: no look at all the others.
UPDATE reservations SET sweep_at = 9223372036854775807 WHERE status <> 1;

-- Finds the reservations that the sweeper has to look at; it takes the place of the
-- index that found those past their due time.
CREATE INDEX reservations_sweep_at ON reservations (sweep_at);
DROP INDEX reservations_due ON reservations;

-- Lists: all, of a customer, in a status; the newest first.
CREATE INDEX reservations_created_at ON reservations (created_at, order_id);
CREATE INDEX reservations_customer ON reservations (customer_id, created_at, order_id);
CREATE INDEX reservations_status ON reservations (status, created_at, order_id);

-- The audit adds up the lines of a SKU.
CREATE INDEX reservation_lines_sku ON reservation_lines (sku);
CREATE INDEX receipts_sku ON receipts (sku);

-- What happened to each reservation; a change has the version that it made.
CREATE TABLE reservation_timeline (
    order_id   CHAR(36)     NOT NULL,
    id         CHAR(36)     NOT NULL,
    at         BIGINT       NOT NULL,
    what       VARCHAR(64)  NOT NULL,
    changed    SMALLINT     NOT NULL,
    version    BIGINT       NOT NULL,
    status     SMALLINT     NOT NULL,
    message_id VARCHAR(64)  NOT NULL,
    attempt    BIGINT       NOT NULL,
    detail     VARCHAR(512) NOT NULL,
    PRIMARY KEY (order_id, id)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- One row per correction of stock: what makes AdjustStock count once.
CREATE TABLE adjustments (
    id          VARCHAR(128) NOT NULL,
    sku         VARCHAR(64)  NOT NULL,
    difference  BIGINT       NOT NULL,
    reason      VARCHAR(200) NOT NULL,
    recorded_at BIGINT       NOT NULL,
    CONSTRAINT adjustments_difference_not_zero CHECK (difference <> 0),
    PRIMARY KEY (id)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE INDEX adjustments_sku ON adjustments (sku);

-- Which delivery a message was when it was parked.
ALTER TABLE parked_messages ADD COLUMN attempt BIGINT NOT NULL DEFAULT 1;

-- Lists: all, the oldest first; of an order.
CREATE INDEX parked_messages_first_at ON parked_messages (first_at, id);
CREATE INDEX parked_messages_order ON parked_messages (order_id);

-- +goose Down
DROP INDEX parked_messages_order ON parked_messages;
DROP INDEX parked_messages_first_at ON parked_messages;
ALTER TABLE parked_messages DROP COLUMN attempt;
DROP TABLE adjustments;
DROP TABLE reservation_timeline;
DROP INDEX receipts_sku ON receipts;
DROP INDEX reservation_lines_sku ON reservation_lines;
DROP INDEX reservations_status ON reservations;
DROP INDEX reservations_customer ON reservations;
DROP INDEX reservations_created_at ON reservations;
CREATE INDEX reservations_due ON reservations (status, expires_at);
DROP INDEX reservations_sweep_at ON reservations;
ALTER TABLE reservations DROP COLUMN sweep_count;
ALTER TABLE reservations DROP COLUMN sweep_at;
ALTER TABLE reservations DROP COLUMN customer_id;
