-- What the sweeper, lists, timelines, extensions and refunds need.
-- Rows of programs that do not know the new columns are due for the sweeper at once:
-- it looks at them and puts the columns right.

-- +goose Up
ALTER TABLE orders ADD COLUMN cancel_reason VARCHAR(200) NOT NULL DEFAULT '';
ALTER TABLE orders ADD COLUMN stock_wanted SMALLINT NOT NULL DEFAULT 0;
ALTER TABLE orders ADD COLUMN sweep_at BIGINT NOT NULL DEFAULT 0;
ALTER TABLE orders ADD COLUMN sweep_count BIGINT NOT NULL DEFAULT 0;

-- What each order's stock should be by now, with the numbers of internal/order/status.go;
-- and no look at those that nothing can happen to any more, which are most of them.
UPDATE orders SET stock_wanted = CASE status WHEN 2 THEN 1 WHEN 3 THEN 4 WHEN 4 THEN 3 ELSE 0 END;
UPDATE orders SET sweep_at = 9223372036854775807 WHERE status = 3 AND stock_state = 4 OR status = 4 AND stock_state IN (2, 3);

-- Finds the orders that the sweeper has to look at.
CREATE INDEX orders_sweep_at ON orders (sweep_at);

-- Lists: all, of a customer, in a status; the newest first.
CREATE INDEX orders_created_at ON orders (created_at, id);
CREATE INDEX orders_customer ON orders (customer_id, created_at, id);
CREATE INDEX orders_status ON orders (status, created_at, id);

-- What happened to each order. A change of the order has the version that it made;
-- what changed nothing has version 0.
CREATE TABLE order_timeline (
    order_id     CHAR(36)     NOT NULL,
    id           CHAR(36)     NOT NULL,
    at           BIGINT       NOT NULL,
    kind         SMALLINT     NOT NULL,
    cause        SMALLINT     NOT NULL,
    version      BIGINT       NOT NULL,
    status       SMALLINT     NOT NULL,
    close_reason SMALLINT     NOT NULL,
    stock_state  SMALLINT     NOT NULL,
    expires_at   BIGINT       NOT NULL,
    tag          VARCHAR(64)  NOT NULL,
    message_id   VARCHAR(64)  NOT NULL,
    attempt      BIGINT       NOT NULL,
    detail       VARCHAR(512) NOT NULL,
    PRIMARY KEY (order_id, id)
);

-- One row per extension of a payment window: what makes ExtendPayment count once.
CREATE TABLE payment_extensions (
    order_id    CHAR(36)    NOT NULL,
    request_id  VARCHAR(64) NOT NULL,
    window_ms   BIGINT      NOT NULL,
    expires_at  BIGINT      NOT NULL,
    recorded_at BIGINT      NOT NULL,
    PRIMARY KEY (order_id, request_id)
);

ALTER TABLE payments ADD COLUMN refund_id VARCHAR(64) NOT NULL DEFAULT '';
ALTER TABLE payments ADD COLUMN refunded_at BIGINT NOT NULL DEFAULT 0;

-- Finds the refunds that are due.
CREATE INDEX payments_refunds ON payments (outcome, refunded_at, recorded_at, id);

-- Which delivery a message was when it was parked.
ALTER TABLE parked_messages ADD COLUMN attempt BIGINT NOT NULL DEFAULT 1;

-- Lists: all, the oldest first; of an order.
CREATE INDEX parked_messages_first_at ON parked_messages (first_at, id);
CREATE INDEX parked_messages_order ON parked_messages (order_id);

-- +goose Down
DROP INDEX parked_messages_order;
DROP INDEX parked_messages_first_at;
ALTER TABLE parked_messages DROP COLUMN attempt;
DROP INDEX payments_refunds;
ALTER TABLE payments DROP COLUMN refunded_at;
ALTER TABLE payments DROP COLUMN refund_id;
DROP TABLE payment_extensions;
DROP TABLE order_timeline;
DROP INDEX orders_status;
DROP INDEX orders_customer;
DROP INDEX orders_created_at;
DROP INDEX orders_sweep_at;
ALTER TABLE orders DROP COLUMN sweep_count;
ALTER TABLE orders DROP COLUMN sweep_at;
ALTER TABLE orders DROP COLUMN stock_wanted;
ALTER TABLE orders DROP COLUMN cancel_reason;
