/* SPDX-License-Identifier: Apache-2.0 */
/* A probe is owned by two: its thread and whoever started it. The last one to let go frees it, so neither ever waits for the
 * other. `queue` is NULL once the starter has let go. */
#include "gateway/io/mqtt_probe.h"

#include <errno.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"

#define PROBE_CONNECT_MS 3000
#define PROBE_STACK_SIZE (512 * 1024)

struct mqtt_probe {
    pthread_mutex_t lock;
    unsigned owners;
    struct mqtt_queue *queue;
    uint32_t epoch;
    uint16_t uplink, port;
    bool connect;
    char host[];
};

static void probe_let_go(struct mqtt_probe *probe) {
    pthread_mutex_lock(&probe->lock);
    unsigned left = --probe->owners;
    pthread_mutex_unlock(&probe->lock);
    if (left == 0) {
        pthread_mutex_destroy(&probe->lock);
        free(probe);
    }
}

/* 0, or the errno of a connect to this address. */
static int probe_connect(const struct addrinfo *address) {
    int socket_fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (socket_fd < 0)
        return errno;
    int error = connect(socket_fd, address->ai_addr, address->ai_addrlen) == 0 ? 0 : errno;
    if (error == EINPROGRESS) {
        struct pollfd writable = {.fd = socket_fd, .events = POLLOUT};
        socklen_t size = sizeof error;
        if (poll(&writable, 1, PROBE_CONNECT_MS) != 1)
            error = ETIMEDOUT;
        else if (getsockopt(socket_fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
            error = errno;
    }
    close(socket_fd);
    return error;
}

static void *probe_run(void *context) {
    struct mqtt_probe *probe = context;
    char port[8];
    snprintf(port, sizeof port, "%u", (unsigned)probe->port);
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM}, *addresses = NULL;
    int code = getaddrinfo(probe->host, port, &hints, &addresses), error = 0;
    if (code == 0 && probe->connect) {
        for (const struct addrinfo *address = addresses; address; address = address->ai_next) {
            error = probe_connect(address);
            if (error == 0)
                break;
        }
    }
    if (addresses)
        freeaddrinfo(addresses);

    pthread_mutex_lock(&probe->lock);
    if (probe->queue) {
        struct mqtt_command *answer = mqtt_command_new(MQTT_PROBED, probe->uplink);
        answer->epoch = probe->epoch;
        answer->code = code;
        answer->detail = error;
        mqtt_queue_put(probe->queue, answer);
    }
    pthread_mutex_unlock(&probe->lock);
    probe_let_go(probe);
    return NULL;
}

enum err mqtt_probe_start(const struct mqtt_probe_request *request, struct mqtt_probe **ret_probe) {
    size_t host_size = strlen(request->host) + 1;
    struct mqtt_probe *probe = calloc(1, sizeof *probe + host_size);
    CHECK(probe);
    CHECK(pthread_mutex_init(&probe->lock, NULL) == 0);
    probe->owners = 2;
    probe->queue = request->queue;
    probe->epoch = request->epoch;
    probe->uplink = request->uplink;
    probe->port = request->port;
    probe->connect = request->connect;
    memcpy(probe->host, request->host, host_size);

    pthread_attr_t attributes; /* not thread_start: a small stack, and nobody waits for it. Its signals are blocked as the pump's are */
    pthread_t thread;
    CHECK(pthread_attr_init(&attributes) == 0);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, PROBE_STACK_SIZE);
    int error = pthread_create(&thread, &attributes, probe_run, probe);
    pthread_attr_destroy(&attributes);
    if (error) {
        pthread_mutex_destroy(&probe->lock);
        free(probe);
        return ERR_IO;
    }
    *ret_probe = probe;
    return ERR_OK;
}

void mqtt_probe_release(struct mqtt_probe *probe) {
    if (!probe)
        return;
    pthread_mutex_lock(&probe->lock);
    probe->queue = NULL;
    pthread_mutex_unlock(&probe->lock);
    probe_let_go(probe);
}
