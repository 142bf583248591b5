#include "port.h"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int fd = -1;

int port_open(const char *host, const char *port)
{
    struct addrinfo hints = {0}, *list, *a;
    struct timeval wait = {10, 0}; /* a broker that does not take bytes is gone */

    port_close();
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    if (getaddrinfo(host, port, &hints, &list) != 0)
        return -1;
    for (a = list; a != NULL && fd < 0; a = a->ai_next) {
        fd = socket(a->ai_family, a->ai_socktype, a->ai_protocol);
        if (fd >= 0 && (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait) != 0 ||
                        connect(fd, a->ai_addr, a->ai_addrlen) != 0))
            port_close();
    }
    freeaddrinfo(list);
    return fd < 0 ? -1 : 0;
}

void port_close(void)
{
    if (fd >= 0)
        close(fd);
    fd = -1;
}

int port_send(const uint8_t *data, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, data, len, MSG_NOSIGNAL);
        if (n <= 0)
            return -1;
        data += n;
        len -= (size_t)n;
    }
    return 0;
}

int port_recv(uint8_t *data, size_t max, int wait_ms)
{
    struct pollfd p = {fd, POLLIN, 0};
    ssize_t n;

    if (poll(&p, 1, wait_ms) <= 0)
        return 0;
    n = recv(fd, data, max, 0);
    return n <= 0 ? -1 : (int)n;
}

int64_t port_millis(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void port_pause(int ms)
{
    if (ms > 0)
        poll(NULL, 0, ms);
}
