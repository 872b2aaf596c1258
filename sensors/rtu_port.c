/* SPDX-License-Identifier: Apache-2.0 */
/* libmodbus is used to open and configure the port (modbus_new_rtu, modbus_connect, modbus_get_socket, modbus_close) and for
 * nothing else: its receive side cannot resynchronise, leaves no silence between frames and reads with select(). */
#include "sensors/rtu_port.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/serial.h>
#include <modbus.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/check.h"
#include "base/text.h"

struct speed {
    uint32_t baud;
    speed_t code;
};

/* What termios can set. libmodbus takes any other number silently for 9600. */
static bool speed_find(uint32_t baud, speed_t *ret_code) {
    static const struct speed speeds[] = {{300, B300},       {600, B600},       {1200, B1200},     {2400, B2400},
                                          {4800, B4800},     {9600, B9600},     {19200, B19200},   {38400, B38400},
                                          {57600, B57600},   {115200, B115200}, {230400, B230400}, {460800, B460800},
                                          {500000, B500000}, {576000, B576000}, {921600, B921600}, {1000000, B1000000}};
    for (size_t i = 0; i < ARRAY_COUNT(speeds); i++)
        if (speeds[i].baud == baud) {
            *ret_code = speeds[i].code;
            return true;
        }
    return false;
}

const char *rtu_port_advice(int os_error) {
    switch (os_error) {
    case ENOENT:
    case ENXIO:
    case ENODEV:
        return "is the adapter plugged in? /dev/serial/by-id lists what is";
    case EACCES:
    case EPERM:
        return "the gateway's user must be in the group dialout";
    case EBUSY:
        return "another program or another bus has the port open; fuser names it";
    case EINVAL:
        return "the port did not take the configured speed; choose a common one such as 9600 or 19200";
    case EIO:
        return "the port hung up; was the adapter unplugged?";
    case ENOTTY:
        return "this is not a serial port";
    default:
        return "see the kernel's log";
    }
}

void rtu_port_init(struct rtu_port *port) {
    port->modbus = NULL;
    atomic_store(&port->lock_fd, -1);
    atomic_store(&port->fd, -1);
}

void rtu_port_unlock(struct rtu_port *port) {
    int fd = atomic_load(&port->fd), lock_fd = atomic_load(&port->lock_fd);
    if (fd >= 0)
        (void)ioctl(fd, TIOCNXCL); /* neither waits for the driver */
    if (lock_fd >= 0)
        (void)flock(lock_fd, LOCK_UN);
}

void rtu_port_close(struct rtu_port *port) {
    int lock_fd = atomic_exchange(&port->lock_fd, -1);
    atomic_store(&port->fd, -1); /* before the number belongs to another file: rtu_port_unlock */
    if (port->modbus) {
        if (modbus_get_socket(port->modbus) >= 0)
            (void)ioctl(modbus_get_socket(port->modbus), TIOCNXCL); /* others may hold it open, as both ends of a pty are in a test */
        modbus_close(port->modbus);
        modbus_free(port->modbus);
    }
    if (lock_fd >= 0)
        close(lock_fd);
    rtu_port_init(port);
}

static void low_latency_ask(int fd) {
    struct serial_struct serial;
    if (ioctl(fd, TIOCGSERIAL, &serial) == 0 && !(serial.flags & ASYNC_LOW_LATENCY)) {
        serial.flags |= ASYNC_LOW_LATENCY;
        (void)ioctl(fd, TIOCSSERIAL, &serial); /* only some drivers have it; without it the line is slower, not wrong */
    }
}

int rtu_port_latency_ms(const char *sysfs, const char *serial) {
    char node[PATH_MAX], path[2 * PATH_MAX], text[16] = "";
    if (!realpath(serial, node))
        return -1;
    const char *name = strrchr(node, '/');
    snprintf(path, sizeof(path), "%s/class/tty/%s/device/latency_timer", sysfs, name ? name + 1 : node);
    FILE *file = fopen(path, "re");
    if (!file)
        return -1;
    uint64_t latency_ms;
    bool read = fgets(text, sizeof(text), file) != NULL;
    fclose(file);
    text[strcspn(text, "\n")] = '\0';
    return read && text_read_u64(text, &latency_ms) && latency_ms < 1000 ? (int)latency_ms : -1;
}

int rtu_port_open(struct rtu_port *port, const struct bus_spec *spec) {
    static const char parities[] = {[PARITY_NONE] = 'N', [PARITY_EVEN] = 'E', [PARITY_ODD] = 'O'};
    struct termios settings;
    speed_t speed;
    if (!speed_find(spec->baud, &speed))
        return EINVAL;
    port->lock_fd = open(spec->serial, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    if (port->lock_fd < 0)
        return errno;
    if (!isatty(port->lock_fd))
        return ENOTTY;
    if (flock(port->lock_fd, LOCK_EX | LOCK_NB) != 0)
        return errno == EWOULDBLOCK ? EBUSY : errno;
    port->modbus = modbus_new_rtu(spec->serial, (int)spec->baud, parities[spec->parity], 8, spec->stop_bits);
    if (!port->modbus)
        return errno;
    if (modbus_connect(port->modbus) != 0)
        return errno ? errno : EIO;
    int fd = modbus_get_socket(port->modbus);
    if (tcgetattr(fd, &settings) != 0)
        return errno;
    if (cfgetospeed(&settings) != speed || cfgetispeed(&settings) != speed)
        return EINVAL;
    if (ioctl(fd, TIOCEXCL) != 0 || fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
        return errno;
    low_latency_ask(fd);
    port->fd = fd;
    return 0;
}
