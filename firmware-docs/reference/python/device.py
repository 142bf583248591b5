#!/usr/bin/env python3
"""A reference device in Python 3, with nothing but the standard library.

It measures, and has a valve. It shows what a device of our own topics does; see
../../topics.md. Settings come from the command line, the password from ESTATE_PASSWORD:

    ESTATE_PASSWORD=... python3 device.py HOST PORT BUILDING NAME [PERIOD_MS]
"""

import collections
import json
import os
import select
import socket
import struct
import sys
import time

RING = 128  # readings that are kept while the broker is away
RETRY_MIN, RETRY_MAX = 0.25, 30.0  # seconds between attempts to connect
TIME_WAIT = 35.0  # the time is told every 30 s: kept readings wait for it once
OLD = 5.0  # a reading that is older does not go without its time
STEP = 5.0  # seconds; the time is put back by no less
HELD = 4  # orders that wait until the time is known
KEEPALIVE = 60  # seconds
PACKET_MAX = 64 << 10  # a longer one ends the connection


class Lost(Exception):
    """The connection is to be made anew."""


class Connection:
    """The part of MQTT 3.1.1 that a sensor needs: it publishes and hears with QoS 0 and 1."""

    CONNACK, PUBLISH, PUBACK, SUBACK = 2, 3, 4, 9

    def __init__(self, host, port, name, password, will_topic):
        self.socket = socket.create_connection((host, port), timeout=10)
        self.buffer = b""
        self.sent = self.heard = time.monotonic()
        # User, password, a will that is kept, QoS 1; the session is kept, so that orders wait.
        flags = 0x80 | 0x40 | 0x20 | 0x08 | 0x04
        body = self.text("MQTT") + bytes([4, flags]) + struct.pack(">H", KEEPALIVE)
        for part in (name, will_topic, "offline", name, password):
            body += self.text(part)
        self.send(0x10, body)
        until = time.monotonic() + 10
        while time.monotonic() < until:
            for kind, _, body in self.packets(0.2):
                if kind != self.CONNACK or len(body) != 2 or body[1] != 0:
                    raise Lost("the broker refused the login")
                return
        raise Lost("the broker did not answer")

    def close(self):
        self.socket.close()

    @staticmethod
    def text(s):
        data = s.encode()
        return struct.pack(">H", len(data)) + data

    def send(self, header, body):
        length, left = b"", len(body)
        while True:
            left, digit = left >> 7, left & 0x7F
            length += bytes([digit | (0x80 if left else 0)])
            if not left:
                break
        self.sent = time.monotonic()
        self.socket.sendall(bytes([header]) + length + body)

    def subscribe(self, ident, topic):
        self.send(0x82, struct.pack(">H", ident) + self.text(topic) + b"\x01")

    def publish(self, ident, topic, payload, retain=False, again=False):
        header = 0x32 | (0x01 if retain else 0) | (0x08 if again else 0)
        data = json.dumps(payload) if isinstance(payload, dict) else payload
        self.send(header, self.text(topic) + struct.pack(">H", ident) + data.encode())

    def packets(self, wait):
        """Gives what came within the time, as (kind, flags, body)."""
        if select.select([self.socket], [], [], max(wait, 0))[0]:
            data = self.socket.recv(4096)
            if not data:
                raise Lost("the broker closed the connection")
            self.buffer += data
            self.heard = time.monotonic()
        while True:
            length, at = 0, 1
            while at < len(self.buffer) and at <= 4:
                length |= (self.buffer[at] & 0x7F) << (7 * (at - 1))
                at += 1
                if not self.buffer[at - 1] & 0x80:
                    break
            else:
                break
            if length > PACKET_MAX:
                raise Lost("a packet that is too long")
            if len(self.buffer) < at + length:
                break
            first, body = self.buffer[0], self.buffer[at:at + length]
            self.buffer = self.buffer[at + length:]
            yield first >> 4, first & 0x0F, body
        if time.monotonic() - self.heard > KEEPALIVE * 1.5:
            raise Lost("the broker is silent")
        if time.monotonic() - self.sent > KEEPALIVE / 2:
            self.send(0xC0, b"")


class Device:
    def __init__(self, building, name, period):
        self.building, self.name, self.period = building, name, period
        self.base = f"estate/v1/{building}/dev/{name}/"
        self.ring = collections.deque(maxlen=RING)  # (monotonic, count, temperature)
        self.count = 0
        self.next = time.monotonic()
        self.offset = None  # the building's time minus time.monotonic
        self.valve = "open"
        self.orders = collections.OrderedDict()  # id → result, so that none is done twice
        self.held = collections.deque(maxlen=HELD)  # orders that came before the time was known
        self.under_way = None  # the count of the reading that was sent and not acknowledged
        self.sent = None  # the count of the last that was sent

    def measure(self):
        if self.next > time.monotonic():
            return
        while self.next <= time.monotonic():  # what a busy machine missed is not made up for
            self.next += self.period
        self.count += 1
        # Here a sensor would be asked. A full ring loses its oldest.
        self.ring.append((time.monotonic(), self.count, 20 + self.count % 50 / 10))

    def run(self, host, port, password):
        retry = RETRY_MIN
        while True:
            connection = None
            try:
                connection = Connection(host, port, self.name, password, self.base + "availability")
                retry = RETRY_MIN
                self.session(connection)
            except (OSError, Lost) as e:
                print(f"connection: {e}", file=sys.stderr, flush=True)
            finally:
                if connection:
                    connection.close()
            again = time.monotonic() + retry
            while time.monotonic() < again:  # it goes on measuring
                self.measure()
                time.sleep(max(0, min(self.next, again) - time.monotonic()))
            retry = min(2 * retry, RETRY_MAX)

    def session(self, c):
        """One connection, from its begin to its end."""
        self.connected, self.under_way = time.monotonic(), None
        c.subscribe(1, self.base + "set")
        c.subscribe(2, f"estate/v1/{self.building}/time")
        c.subscribe(4, self.base + "error")
        c.publish(5, self.base + "announcement", {
            "name": "Reference device in Python", "manufacturer": "Smart Estate", "model": "reference-python", "firmware": "1.0.0",
            "entities": {
                "valve": {"component": "valve", "name": "Main valve", "expire_after": 900},
                "count": {"component": "sensor", "name": "Readings since start"},
            }}, retain=True)
        c.publish(6, self.base + "availability", "online", retain=True)
        while True:
            self.measure()
            self.send_oldest(c)
            wait = self.next - time.monotonic()
            for kind, flags, body in c.packets(min(wait, 0.02) if self.under_way else wait):
                self.take(c, kind, flags, body)

    def send_oldest(self, c):
        """Sends one reading; the next goes once it is acknowledged."""
        if not self.ring or self.under_way is not None:
            return
        at, count, temperature = self.ring[0]
        now = time.monotonic()
        if self.offset is None and now - at > OLD and now - self.connected < TIME_WAIT:
            return
        state = {"temperature": round(temperature, 1), "count": count, "valve": self.valve}
        if self.offset is not None:
            state["ts"] = int((at + self.offset) * 1000)
        c.publish(self.ident(count), self.base + "state", state, again=self.sent == count)
        self.under_way = self.sent = count

    @staticmethod
    def ident(count):
        """The id of a reading's message: a late acknowledgement is not taken for another's."""
        return 100 + count % 60000

    def take(self, c, kind, flags, body):
        if kind == Connection.PUBACK:
            if self.under_way is not None and struct.unpack(">H", body)[0] == self.ident(self.under_way):
                if self.ring and self.ring[0][1] == self.under_way:
                    self.ring.popleft()
                self.under_way = None
        elif kind == Connection.SUBACK and body[2] == 0x80:
            raise Lost("a subscription was refused: a topic that is not ours")
        elif kind == Connection.PUBLISH:
            length = struct.unpack(">H", body[:2])[0]
            topic, rest = body[2:2 + length].decode(), body[2 + length:]
            qos, ident = flags >> 1 & 3, b""
            if qos:
                ident, rest = rest[:2], rest[2:]
            self.hear(c, topic.rsplit("/", 1)[1], rest)
            if qos:
                c.send(0x40, ident)

    def hear(self, c, tail, payload):
        try:
            said = json.loads(payload)
        except ValueError:
            return
        if tail == "time":
            # A message can only be late: the one that was least late is the truest.
            told = said["unix_ms"] / 1000 - time.monotonic()
            if self.offset is None:
                print("the building's time is known", file=sys.stderr, flush=True)
            if self.offset is None or told > self.offset or self.offset - told > STEP:
                self.offset = told
            while self.held:
                self.order(c, self.held.popleft())
        elif tail == "set" and self.offset is None and "expires" in said:
            # It may have waited at the broker for long: whether it is too late, the time tells.
            print(f"order {said.get('id', '')} waits for the time", file=sys.stderr, flush=True)
            self.held.append(said)
        elif tail == "set":
            self.order(c, said)
        elif tail == "error":
            print(f"the edge refused: {said}", file=sys.stderr, flush=True)

    def order(self, c, said):
        """Does what an order says, and answers."""
        ident, value = said.get("id", ""), said.get("value")
        result = self.orders.get(ident) if ident else None
        if result is None:
            result = "refused"
            if "expires" in said and (time.monotonic() + self.offset) * 1000 > said["expires"]:
                result = "expired"
            elif said.get("entity") == "valve" and value in ("open", "close"):
                self.valve = {"open": "open", "close": "closed"}[value]  # here a relay would be switched
                result = "done"
            print(f"order {ident}: valve {value}: {result}", file=sys.stderr, flush=True)
            if ident:
                self.orders[ident] = result
                while len(self.orders) > 8:
                    self.orders.popitem(last=False)
        c.publish(3, self.base + "answer", {"id": ident, "entity": "valve", "result": result, "value": self.valve})


def main():
    if len(sys.argv) < 5 or "ESTATE_PASSWORD" not in os.environ:
        print(__doc__, file=sys.stderr)
        return 2
    period = int(sys.argv[5]) / 1000 if len(sys.argv) > 5 else 60.0
    Device(sys.argv[3], sys.argv[4], period).run(sys.argv[1], int(sys.argv[2]), os.environ["ESTATE_PASSWORD"])


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        pass
