/* What the device needs of its machine. port_posix.c is for Linux and the like; for a
 * microcontroller write these six functions on its network library. */
#ifndef PORT_H
#define PORT_H

#include <stddef.h>
#include <stdint.h>

/* port_open connects to the broker; 0 is success. */
int port_open(const char *host, const char *port);
/* port_close ends the connection, if there is one. */
void port_close(void);
/* port_send sends all bytes; 0 is success. */
int port_send(const uint8_t *data, size_t len);
/* port_recv waits at most wait_ms and gives the number of bytes that it read, 0 for none and
 * -1 where the connection ended. */
int port_recv(uint8_t *data, size_t max, int wait_ms);
/* port_millis is a clock that never goes back, in milliseconds since some start. */
int64_t port_millis(void);
/* port_pause does nothing for so long. */
void port_pause(int ms);

#endif
