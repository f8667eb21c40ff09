-- Times are milliseconds since the Unix epoch.

-- +goose Up
CREATE TABLE stocks (
    sku        VARCHAR(64) NOT NULL,
    available  BIGINT      NOT NULL,
    reserved   BIGINT      NOT NULL,
    sold       BIGINT      NOT NULL,
    received   BIGINT      NOT NULL,
    created_at BIGINT      NOT NULL,
    updated_at BIGINT      NOT NULL,
    CONSTRAINT stocks_available_not_negative CHECK (available >= 0),
    CONSTRAINT stocks_reserved_not_negative CHECK (reserved >= 0),
    CONSTRAINT stocks_sold_not_negative CHECK (sold >= 0),
    CONSTRAINT stocks_sum CHECK (available + reserved + sold = received),
    PRIMARY KEY (sku)
);

-- One row per receipt of goods: what makes AddStock count once.
CREATE TABLE receipts (
    id          VARCHAR(128) NOT NULL,
    sku         VARCHAR(64)  NOT NULL,
    quantity    BIGINT       NOT NULL,
    recorded_at BIGINT       NOT NULL,
    CONSTRAINT receipts_quantity_positive CHECK (quantity > 0),
    PRIMARY KEY (id)
);

-- One row per order: what makes every event of the order count once.
CREATE TABLE reservations (
    order_id   CHAR(36) NOT NULL,
    status     SMALLINT NOT NULL,
    version    BIGINT   NOT NULL,
    expires_at BIGINT   NOT NULL,
    created_at BIGINT   NOT NULL,
    updated_at BIGINT   NOT NULL,
    PRIMARY KEY (order_id)
);

-- Finds the reservations that are past their due time.
CREATE INDEX reservations_due ON reservations (status, expires_at);

CREATE TABLE reservation_lines (
    order_id  CHAR(36)    NOT NULL,
    sku       VARCHAR(64) NOT NULL,
    quantity  BIGINT      NOT NULL,
    shortage  SMALLINT    NOT NULL,
    available BIGINT      NOT NULL,
    CONSTRAINT reservation_lines_quantity_positive CHECK (quantity > 0),
    PRIMARY KEY (order_id, sku)
);

CREATE TABLE parked_messages (
    id            CHAR(36)     NOT NULL,
    consumer      VARCHAR(128) NOT NULL,
    tag           VARCHAR(64)  NOT NULL,
    order_id      VARCHAR(64)  NOT NULL,
    topic         VARCHAR(128) NOT NULL,
    message_id    VARCHAR(64)  NOT NULL,
    body          BLOB         NOT NULL,
    properties    BLOB         NOT NULL,
    reason        VARCHAR(64)  NOT NULL,
    detail        TEXT         NOT NULL,
    times         BIGINT       NOT NULL,
    first_at      BIGINT       NOT NULL,
    last_at       BIGINT       NOT NULL,
    PRIMARY KEY (id)
);

CREATE UNIQUE INDEX parked_messages_key ON parked_messages (consumer, tag, order_id);

-- +goose Down
DROP TABLE parked_messages;
DROP TABLE reservation_lines;
DROP TABLE reservations;
DROP TABLE receipts;
DROP TABLE stocks;
