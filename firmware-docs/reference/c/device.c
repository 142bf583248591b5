/* A reference device: it measures, and has a valve. It shows what a device of our own topics
 * does; see ../../topics.md.
 *
 *   ESTATE_PASSWORD=… ./device HOST PORT BUILDING NAME [PERIOD_MS]
 */
#include "mqtt.h"
#include "port.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RING 128          /* readings that are kept while the broker is away */
#define RETRY_MIN_MS 250  /* between attempts to connect; doubled each time */
#define RETRY_MAX_MS 30000
#define TIME_WAIT_MS 35000 /* the time is told every 30 s: kept readings wait for it once */
#define OLD_MS 5000        /* a reading that is older does not go without its time */
#define STEP_MS 5000       /* the time is put back by no less */
#define ORDERS 8           /* orders that are remembered, so that none is done twice */
#define HELD 2             /* orders that wait until the time is known */
#define HELD_MAX 320       /* the longest of them */
#define READING_ID 100     /* ids of messages: readings from here on */

struct reading {
    int64_t at; /* port_millis */
    long count;
    double temperature;
};

static struct mqtt mqtt;
static char base[160];
static struct reading ring[RING];
static size_t first, kept; /* of the ring: the oldest, and how many */
static int under_way;      /* the oldest was sent and not acknowledged */
static int sent_before;
static int64_t offset, connected_at; /* offset: the building's time minus port_millis */
static int64_t next_at; /* when to measure */
static int time_known, valve_open = 1;
static char orders[ORDERS][72];
static const char *results[ORDERS];
static size_t next_order;
static char held[HELD][HELD_MAX];
static size_t waiting; /* how many of them */

static const char *topic(const char *tail)
{
    static char text[224];

    snprintf(text, sizeof text, "%s/%s", base, tail);
    return text;
}

/* measure puts a reading into the ring when it is time for one; what a busy machine missed is not
 * made up for. A full ring loses its oldest: the newest matter more. */
static void measure(long period)
{
    static long count;
    struct reading r;

    if (next_at > port_millis())
        return;
    while (next_at <= port_millis())
        next_at += period;
    r.at = port_millis();
    r.count = ++count;
    r.temperature = 20 + (double)(count % 50) / 10; /* here a sensor would be asked */
    if (kept == RING) {
        first = (first + 1) % RING;
        kept--;
        under_way = sent_before = 0;
    }
    ring[(first + kept) % RING] = r;
    kept++;
}

/* id of the oldest reading's message: it changes with each reading, so that a late
 * acknowledgement is not taken for another reading's. */
static uint16_t reading_id(void) { return (uint16_t)(READING_ID + ring[first].count % 60000); }

/* send_oldest sends one reading and waits for its acknowledgement before the next. */
static int send_oldest(void)
{
    const struct reading *r = &ring[first];
    int64_t now = port_millis();
    char text[200];
    int n = 0;

    if (kept == 0 || under_way)
        return 0;
    if (!time_known && now - r->at > OLD_MS && now - connected_at < TIME_WAIT_MS)
        return 0;
    n = snprintf(text, sizeof text, "{");
    if (time_known)
        n += snprintf(text + n, sizeof text - (size_t)n, "\"ts\":%lld,", (long long)(r->at + offset));
    snprintf(text + n, sizeof text - (size_t)n, "\"temperature\":%.1f,\"count\":%ld,\"valve\":\"%s\"}", r->temperature, r->count,
             valve_open ? "open" : "closed");
    if (mqtt_publish(&mqtt, reading_id(), topic("state"), text, 0, sent_before) != 0)
        return -1;
    under_way = sent_before = 1;
    return 0;
}

static void on_ack(uint16_t id)
{
    if (!under_way || id != reading_id())
        return;
    under_way = sent_before = 0;
    first = (first + 1) % RING;
    kept--;
}

/* field finds a value of a flat JSON object, which is what the edge sends; a text comes without
 * its quotes. It gives 0 where there is none. */
static int field(const char *json, const char *key, char *out, size_t max)
{
    char quoted[32];
    const char *p;
    size_t n = 0;

    snprintf(quoted, sizeof quoted, "\"%s\"", key);
    p = strstr(json, quoted);
    if (p == NULL)
        return 0;
    p += strlen(quoted);
    p += strspn(p, " \t\r\n:");
    n = *p == '"' ? strcspn(++p, "\"\\") : strcspn(p, ",} \t\r\n");
    if (n >= max)
        return 0;
    memcpy(out, p, n);
    out[n] = 0;
    return 1;
}

/* answer tells what became of an order, and what the valve is now. */
static void answer(const char *id, const char *result)
{
    char text[192];

    snprintf(text, sizeof text, "{\"id\":\"%s\",\"entity\":\"valve\",\"result\":\"%s\",\"value\":\"%s\"}", id, result, valve_open ? "open" : "closed");
    mqtt_publish(&mqtt, 3, topic("answer"), text, 0, 0);
}

/* order does what an order says, and answers. */
static void order(const char *json)
{
    char id[72] = "", entity[72], value[32], expires[32];
    const char *result = "refused";
    size_t i;

    field(json, "id", id, sizeof id);
    for (i = 0; i < ORDERS; i++) {
        if (id[0] != 0 && strcmp(orders[i], id) == 0) { /* the answer was lost: tell it again */
            answer(id, results[i]);
            return;
        }
    }
    if (!field(json, "entity", entity, sizeof entity) || !field(json, "value", value, sizeof value))
        return;
    if (field(json, "expires", expires, sizeof expires) && port_millis() + offset > atoll(expires))
        result = "expired";
    else if (strcmp(entity, "valve") == 0 && (strcmp(value, "open") == 0 || strcmp(value, "close") == 0)) {
        valve_open = strcmp(value, "open") == 0; /* here a relay would be switched */
        result = "done";
    }
    strcpy(orders[next_order], id);
    results[next_order] = result;
    next_order = (next_order + 1) % ORDERS;
    answer(id, result);
    fprintf(stderr, "order %s: valve %s: %s\n", id, value, result);
}

/* hold keeps an order that came before the time was known: it may have waited at the broker for
 * long, and only the time tells whether it is too late. */
static void hold(const char *json)
{
    char id[72] = "";

    field(json, "id", id, sizeof id);
    if (waiting == HELD || strlen(json) >= HELD_MAX) {
        answer(id, "refused");
        return;
    }
    strcpy(held[waiting++], json);
    fprintf(stderr, "order %s waits for the time\n", id);
}

static void on_message(const char *heard, const char *payload)
{
    const char *tail = strrchr(heard, '/');
    char number[32];
    size_t i;

    if (strcmp(tail, "/time") == 0 && field(payload, "unix_ms", number, sizeof number)) {
        /* A message can only be late: the one that was least late is the truest. */
        int64_t told = atoll(number) - port_millis();

        if (!time_known)
            fprintf(stderr, "the building's time is known\n");
        if (!time_known || told > offset || offset - told > STEP_MS)
            offset = told;
        time_known = 1;
        for (i = 0; i < waiting; i++)
            order(held[i]);
        waiting = 0;
    } else if (strcmp(tail, "/set") == 0 && !time_known && field(payload, "expires", number, sizeof number)) {
        hold(payload);
    } else if (strcmp(tail, "/set") == 0) {
        order(payload);
    } else if (strcmp(tail, "/error") == 0) {
        fprintf(stderr, "the edge refused: %s\n", payload);
    }
}

/* session is one connection, from its begin to its end. */
static void session(const char *building, long period)
{
    static char clock_topic[96];
    int failed;

    snprintf(clock_topic, sizeof clock_topic, "estate/v1/%s/time", building);
    connected_at = port_millis();
    under_way = 0;
    failed = mqtt_subscribe(&mqtt, 1, topic("set")) != 0 || mqtt_subscribe(&mqtt, 2, clock_topic) != 0 || mqtt_subscribe(&mqtt, 4, topic("error")) != 0 ||
             mqtt_publish(&mqtt, 5, topic("announcement"),
                          "{\"name\":\"Reference device in C\",\"manufacturer\":\"Smart Estate\",\"model\":\"reference-c\",\"firmware\":\"1.0.0\",\"entities\":{"
                          "\"valve\":{\"component\":\"valve\",\"name\":\"Main valve\",\"expire_after\":900},"
                          "\"count\":{\"component\":\"sensor\",\"name\":\"Readings since start\"}}}",
                          1, 0) != 0 ||
             mqtt_publish(&mqtt, 6, topic("availability"), "online", 1, 0) != 0;
    while (!failed) {
        int64_t wait;

        measure(period);
        failed = send_oldest() != 0;
        wait = next_at - port_millis();
        failed = failed || mqtt_poll(&mqtt, wait < 0 ? 0 : under_way && wait > 20 ? 20 : (int)wait) != 0;
    }
    port_close();
}

int main(int argc, char **argv)
{
    struct mqtt_login login = {0};
    static char will_topic[224];
    long period = argc > 5 ? atol(argv[5]) : 60000, retry = RETRY_MIN_MS;

    if (argc < 5 || getenv("ESTATE_PASSWORD") == NULL || period < 1) {
        fprintf(stderr, "ESTATE_PASSWORD=... %s HOST PORT BUILDING NAME [PERIOD_MS]\n", argv[0]);
        return 2;
    }
    next_at = port_millis();
    snprintf(base, sizeof base, "estate/v1/%s/dev/%s", argv[3], argv[4]);
    snprintf(will_topic, sizeof will_topic, "%s", topic("availability"));
    login.client_id = login.user = argv[4];
    login.password = getenv("ESTATE_PASSWORD");
    login.will_topic = will_topic;
    login.will = "offline";
    mqtt.on_message = on_message;
    mqtt.on_ack = on_ack;
    for (;;) {
        int64_t again;

        mqtt.heard_at = mqtt.sent_at = port_millis();
        if (port_open(argv[1], argv[2]) == 0 && mqtt_connect(&mqtt, &login) == 0) {
            retry = RETRY_MIN_MS;
            session(argv[3], period);
        }
        port_close();
        for (again = port_millis() + retry; port_millis() < again;) { /* it goes on measuring */
            measure(period);
            port_pause((int)((next_at < again ? next_at : again) - port_millis()));
        }
        retry = 2 * retry < RETRY_MAX_MS ? 2 * retry : RETRY_MAX_MS;
    }
}
