-- Times are milliseconds since the Unix epoch.

-- +goose Up
-- One row per event that a customer is told of: what makes it be told once. Who sends
-- holds the row until held_until; once it is sent, it needs no body any more.
CREATE TABLE notifications (
    event_id   VARCHAR(64) NOT NULL,
    body       BLOB        NOT NULL,
    attempts   BIGINT      NOT NULL,
    held_until BIGINT      NOT NULL,
    sent_at    BIGINT      NOT NULL,
    created_at BIGINT      NOT NULL,
    seen_at    BIGINT      NOT NULL,
    PRIMARY KEY (event_id)
);

-- Finds the rows whose event has not been seen for long.
CREATE INDEX notifications_seen_at ON notifications (seen_at);

-- As in both services: one store reads them all.
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
    attempt       BIGINT       NOT NULL DEFAULT 1,
    PRIMARY KEY (id)
);

CREATE UNIQUE INDEX parked_messages_key ON parked_messages (consumer, tag, order_id);
CREATE INDEX parked_messages_first_at ON parked_messages (first_at, id);
CREATE INDEX parked_messages_order ON parked_messages (order_id);

-- +goose Down
DROP TABLE parked_messages;
DROP TABLE notifications;
