-- What devices and gateways told of themselves, as it came: it is read again at each start, by
-- a program that may understand more of it.

-- +goose Up

CREATE TABLE announcement (
    topic    TEXT    NOT NULL PRIMARY KEY,
    payload  BLOB    NOT NULL,
    heard_at INTEGER NOT NULL
) STRICT;

DROP TABLE gateway_name;

-- What each rule knows of each device, with the alarm that it holds open.
CREATE TABLE rule_state (
    rule    TEXT    NOT NULL,
    device  TEXT    NOT NULL,
    version INTEGER NOT NULL,
    state   BLOB    NOT NULL,
    PRIMARY KEY (rule, device)
) STRICT;

DROP TABLE sensor_state;
DROP TABLE open_alarm;

-- What a login is for, whose it is, and its secret in the form of mosquitto's password file,
-- for a building that has its own mosquitto. Logins from before have none: make them anew.
ALTER TABLE mqtt_login ADD COLUMN role TEXT NOT NULL DEFAULT 'device';
ALTER TABLE mqtt_login ADD COLUMN mac TEXT NOT NULL DEFAULT '';
ALTER TABLE mqtt_login ADD COLUMN person BLOB;
ALTER TABLE mqtt_login ADD COLUMN mosquitto TEXT NOT NULL DEFAULT '';
UPDATE mqtt_login SET role = 'zigbee2mqtt' WHERE gateway = 1;
ALTER TABLE mqtt_login DROP COLUMN gateway;

-- What brokers were asked to keep for whoever comes later: taken away when it no longer holds.
CREATE TABLE mqtt_kept (topic TEXT NOT NULL PRIMARY KEY, payload BLOB NOT NULL) STRICT;

-- Up to which position of the building's feed each person's inbox was told, from its first login on.
CREATE TABLE mqtt_told (person BLOB NOT NULL PRIMARY KEY, position INTEGER NOT NULL) STRICT;
