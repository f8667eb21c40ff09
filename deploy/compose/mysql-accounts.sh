#!/bin/bash
# Makes a schema and an account for each service when the volume is new. The image runs
# it with its own function for SQL; the passwords come from files.

# account NAME SCHEMA: each service owns one schema and cannot see the others'.
account() {
  local password
  password=$(<"/run/secrets/$1")
  docker_process_sql --database=mysql <<SQL
CREATE DATABASE \`$2\`;
CREATE USER '${1//-/_}'@'%' IDENTIFIED BY '${password//\'/\'\'}';
GRANT ALL PRIVILEGES ON \`${2//_/\\_}\`.* TO '${1//-/_}'@'%';
SQL
}

account order-srv orderflow_order
account inventory-srv orderflow_inventory
account notify orderflow_notify
