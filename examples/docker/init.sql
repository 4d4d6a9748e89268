-- The accounts of src/testing/accounts.ts, made without a trace: servers with transactions of their own cannot form a group.
SET SESSION sql_log_bin = OFF;
CREATE USER 'fabric'@'%' IDENTIFIED BY 'fabric';
GRANT ALL ON *.* TO 'fabric'@'%' WITH GRANT OPTION;
CREATE USER 'app'@'%' IDENTIFIED BY 'app';
GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, EXECUTE ON *.* TO 'app'@'%';
CREATE DATABASE app;
RESET BINARY LOGS AND GTIDS;
