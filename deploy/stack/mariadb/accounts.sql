-- Demo accounts of a server that listens on loopback only. Every statement may
-- be repeated.

-- root without a password stays for the socket, whose directory is private.
-- (With skip-name-resolve a TCP login never counts as 'localhost'.)
DELETE FROM mysql.global_priv WHERE User = 'root' AND Host <> 'localhost';
FLUSH PRIVILEGES;

-- Each service owns one database and cannot see the other's.
CREATE DATABASE IF NOT EXISTS orderflow_order;
CREATE USER IF NOT EXISTS order_srv@'127.0.0.1' IDENTIFIED BY 'order_srv';
GRANT ALL PRIVILEGES ON orderflow_order.* TO order_srv@'127.0.0.1';

CREATE DATABASE IF NOT EXISTS orderflow_inventory;
CREATE USER IF NOT EXISTS inventory_srv@'127.0.0.1' IDENTIFIED BY 'inventory_srv';
GRANT ALL PRIVILEGES ON orderflow_inventory.* TO inventory_srv@'127.0.0.1';

-- Tests create and drop databases of their own, orderflow_test_<anything>. The
-- backslash keeps the underscore from matching any character.
CREATE USER IF NOT EXISTS orderflow_test@'127.0.0.1' IDENTIFIED BY 'orderflow_test';
GRANT ALL PRIVILEGES ON `orderflow\_test\_%`.* TO orderflow_test@'127.0.0.1';
