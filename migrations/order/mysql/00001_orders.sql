-- Ids, keys and SKUs compare byte by byte: the default collation takes 'A' and 'a'
-- for the same key. (It still pads: 'a' equals 'a '. No id or SKU may hold a blank.)
-- Times are milliseconds since the Unix epoch.

-- +goose Up
CREATE TABLE orders (
    id              CHAR(36)     NOT NULL,
    customer_id     VARCHAR(64)  NOT NULL,
    idempotency_key VARCHAR(128) NOT NULL,
    request_hash    CHAR(64)     NOT NULL,
    status          SMALLINT     NOT NULL,
    close_reason    SMALLINT     NOT NULL,
    currency        CHAR(3)      NOT NULL,
    total_minor     BIGINT       NOT NULL,
    window_ms       BIGINT       NOT NULL,
    expires_at      BIGINT       NOT NULL,
    created_at      BIGINT       NOT NULL,
    updated_at      BIGINT       NOT NULL,
    version         BIGINT       NOT NULL,
    stock_state     SMALLINT     NOT NULL,
    stock_version   BIGINT       NOT NULL,
    CONSTRAINT orders_total_not_negative CHECK (total_minor >= 0),
    PRIMARY KEY (id)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE UNIQUE INDEX orders_idempotency_key ON orders (customer_id, idempotency_key);

CREATE TABLE order_lines (
    order_id         CHAR(36)    NOT NULL,
    sku              VARCHAR(64) NOT NULL,
    quantity         BIGINT      NOT NULL,
    unit_price_minor BIGINT      NOT NULL,
    shortage         SMALLINT    NOT NULL,
    available        BIGINT      NOT NULL,
    CONSTRAINT order_lines_quantity_positive CHECK (quantity > 0),
    PRIMARY KEY (order_id, sku)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- One row per half message that was decided: the fence of the check-back.
CREATE TABLE barriers (
    id         CHAR(36) NOT NULL,
    outcome    SMALLINT NOT NULL,
    created_at BIGINT   NOT NULL,
    PRIMARY KEY (id)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE INDEX barriers_created_at ON barriers (created_at);

CREATE TABLE payments (
    id            VARCHAR(64) NOT NULL,
    order_id      CHAR(36)    NOT NULL,
    amount_minor  BIGINT      NOT NULL,
    currency      CHAR(3)     NOT NULL,
    outcome       SMALLINT    NOT NULL,
    refund_reason SMALLINT    NOT NULL,
    recorded_at   BIGINT      NOT NULL,
    PRIMARY KEY (id)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE INDEX payments_order_id ON payments (order_id);

CREATE TABLE parked_messages (
    id            CHAR(36)     NOT NULL,
    consumer      VARCHAR(128) NOT NULL,
    tag           VARCHAR(64)  NOT NULL,
    order_id      VARCHAR(64)  NOT NULL,
    topic         VARCHAR(128) NOT NULL,
    message_id    VARCHAR(64)  NOT NULL,
    body          MEDIUMBLOB   NOT NULL,
    properties    MEDIUMBLOB   NOT NULL,
    reason        VARCHAR(64)  NOT NULL,
    detail        TEXT         NOT NULL,
    times         BIGINT       NOT NULL,
    first_at      BIGINT       NOT NULL,
    last_at       BIGINT       NOT NULL,
    PRIMARY KEY (id)
) DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

CREATE UNIQUE INDEX parked_messages_key ON parked_messages (consumer, tag, order_id);

-- +goose Down
DROP TABLE parked_messages;
DROP TABLE payments;
DROP TABLE barriers;
DROP TABLE order_lines;
DROP TABLE orders;
