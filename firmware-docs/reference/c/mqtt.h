/* The part of MQTT 3.1.1 that a sensor needs: it publishes and hears with QoS 0 and 1. It takes
 * no memory but its own struct. */
#ifndef MQTT_H
#define MQTT_H

#include <stddef.h>
#include <stdint.h>

#define MQTT_PACKET_MAX 1024 /* the longest packet, both ways */
#define MQTT_KEEPALIVE 60    /* seconds */

struct mqtt_login {
    const char *client_id, *user, *password;
    const char *will_topic, *will; /* what the broker says for us when we are gone; it is kept */
};

struct mqtt {
    uint8_t in[MQTT_PACKET_MAX];
    size_t have;
    int64_t sent_at, heard_at;
    /* on_message is called for what is heard; topic and payload end with a NUL. */
    void (*on_message)(const char *topic, const char *payload);
    /* on_ack is called when the broker has a message of ours on its disk. */
    void (*on_ack)(uint16_t id);
};

/* All return 0, or -1 where the connection is to be made anew. */
int mqtt_connect(struct mqtt *m, const struct mqtt_login *l);
int mqtt_subscribe(struct mqtt *m, uint16_t id, const char *topic);
/* mqtt_publish sends with QoS 1, so that the same id comes to on_ack; again says that it was
 * sent before. */
int mqtt_publish(struct mqtt *m, uint16_t id, const char *topic, const char *payload, int retain, int again);
/* mqtt_poll takes what came, for at most wait_ms, and keeps the connection alive. */
int mqtt_poll(struct mqtt *m, int wait_ms);

#endif
