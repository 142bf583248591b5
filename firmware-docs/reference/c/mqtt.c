#include "mqtt.h"
#include "port.h"

#include <string.h>

enum { CONNECT = 0x10, CONNACK = 0x20, PUBLISH = 0x30, PUBACK = 0x40, SUBSCRIBE = 0x82, SUBACK = 0x90, PINGREQ = 0xC0 };

/* packet is one that is being written: its body begins at 5, and the header goes before it. */
struct packet {
    uint8_t b[MQTT_PACKET_MAX];
    size_t end;
    int full;
};

static void put(struct packet *p, const void *data, size_t len)
{
    if (p->end + len > sizeof p->b) {
        p->full = 1;
        return;
    }
    memcpy(p->b + p->end, data, len);
    p->end += len;
}

static void put16(struct packet *p, size_t n)
{
    uint8_t two[2];

    two[0] = (uint8_t)(n >> 8);
    two[1] = (uint8_t)n;
    put(p, two, 2);
}

static void put_text(struct packet *p, const char *s)
{
    put16(p, strlen(s));
    put(p, s, strlen(s));
}

static int send_packet(struct mqtt *m, struct packet *p, uint8_t type)
{
    size_t left = p->end - 5, at = 1, i;
    uint8_t header[5];

    if (p->full)
        return -1;
    header[0] = type;
    do {
        header[at] = left % 128;
        left /= 128;
        if (left > 0)
            header[at] |= 0x80;
        at++;
    } while (left > 0);
    for (i = 0; i < at; i++)
        p->b[5 - at + i] = header[i];
    m->sent_at = port_millis();
    return port_send(p->b + 5 - at, p->end - 5 + at);
}

/* take gives the first whole packet's body and length, and 0 where it has not come yet. */
static size_t take(struct mqtt *m, uint8_t **body, size_t *len)
{
    size_t at = 1, shift = 0;

    *len = 0;
    for (;; at++, shift += 7) {
        if (at >= m->have || at > 4)
            return 0;
        *len |= (size_t)(m->in[at] & 0x7F) << shift;
        if ((m->in[at] & 0x80) == 0)
            break;
    }
    at++;
    if (at + *len > m->have)
        return 0;
    *body = m->in + at;
    return at + *len;
}

static void drop(struct mqtt *m, size_t n)
{
    m->have -= n;
    memmove(m->in, m->in + n, m->have);
}

/* fill reads what came; a packet that does not fit is the end of the connection. */
static int fill(struct mqtt *m, int wait_ms)
{
    int n;

    if (m->have == sizeof m->in)
        return -1;
    n = port_recv(m->in + m->have, sizeof m->in - m->have, wait_ms);
    if (n > 0) {
        m->have += (size_t)n;
        m->heard_at = port_millis();
    }
    return n < 0 ? -1 : 0;
}

int mqtt_connect(struct mqtt *m, const struct mqtt_login *l)
{
    struct packet p = {{0}, 5, 0};
    int64_t until = port_millis() + 10000;
    uint8_t *body, accepted;
    size_t n = 0, len;

    /* The session is kept (no clean flag): orders wait for us while we are away. */
    const uint8_t flags = 0x80 | 0x40 | 0x20 | 0x08 | 0x04; /* user, password, will kept, QoS 1 */

    m->have = 0;
    put_text(&p, "MQTT");
    put(&p, "\x04", 1);
    put(&p, &flags, 1);
    put16(&p, MQTT_KEEPALIVE);
    put_text(&p, l->client_id);
    put_text(&p, l->will_topic);
    put_text(&p, l->will);
    put_text(&p, l->user);
    put_text(&p, l->password);
    if (send_packet(m, &p, CONNECT) != 0)
        return -1;
    while (n == 0 && port_millis() < until) {
        if (fill(m, 200) != 0)
            return -1;
        n = take(m, &body, &len);
    }
    accepted = n > 0 && m->in[0] == CONNACK && len == 2 && body[1] == 0;
    drop(m, n);
    return accepted ? 0 : -1;
}

int mqtt_subscribe(struct mqtt *m, uint16_t id, const char *topic)
{
    struct packet p = {{0}, 5, 0};

    put16(&p, id);
    put_text(&p, topic);
    put(&p, "\x01", 1);
    return send_packet(m, &p, SUBSCRIBE);
}

int mqtt_publish(struct mqtt *m, uint16_t id, const char *topic, const char *payload, int retain, int again)
{
    struct packet p = {{0}, 5, 0};

    put_text(&p, topic);
    put16(&p, id);
    put(&p, payload, strlen(payload));
    return send_packet(m, &p, (uint8_t)(PUBLISH | 0x02 | (retain ? 0x01 : 0) | (again ? 0x08 : 0)));
}

/* message takes a PUBLISH: it is acknowledged once it was handled. */
static int message(struct mqtt *m, uint8_t flags, uint8_t *body, size_t len)
{
    static char topic[128], payload[MQTT_PACKET_MAX];
    struct packet p = {{0}, 5, 0};
    size_t topic_len, at, id = 0;
    int qos = (flags >> 1) & 3;

    if (len < 2)
        return -1;
    topic_len = (size_t)body[0] << 8 | body[1];
    at = 2 + topic_len;
    if (at + (qos > 0 ? 2 : 0) > len || qos > 1)
        return -1;
    if (qos > 0) {
        id = (size_t)body[at] << 8 | body[at + 1];
        at += 2;
    }
    if (topic_len < sizeof topic) { /* none of ours is longer */
        memcpy(topic, body + 2, topic_len);
        topic[topic_len] = 0;
        memcpy(payload, body + at, len - at);
        payload[len - at] = 0;
        m->on_message(topic, payload);
    }
    if (qos == 0)
        return 0;
    put16(&p, id);
    return send_packet(m, &p, PUBACK);
}

int mqtt_poll(struct mqtt *m, int wait_ms)
{
    struct packet ping = {{0}, 5, 0};
    uint8_t *body;
    size_t n, len;

    if (fill(m, wait_ms) != 0)
        return -1;
    while ((n = take(m, &body, &len)) > 0) {
        uint8_t type = m->in[0] & 0xF0;

        if (type == PUBLISH && message(m, m->in[0] & 0x0F, body, len) != 0)
            return -1;
        if (type == PUBACK && len == 2)
            m->on_ack((uint16_t)(body[0] << 8 | body[1]));
        if (type == SUBACK && len == 3 && body[2] == 0x80)
            return -1; /* refused: a topic that is not ours */
        drop(m, n);
    }
    if (port_millis() - m->heard_at > MQTT_KEEPALIVE * 1500)
        return -1;
    if (port_millis() - m->sent_at > MQTT_KEEPALIVE * 500)
        return send_packet(m, &ping, PINGREQ);
    return 0;
}
