/* SPDX-License-Identifier: Apache-2.0 */
/* The thread, until `stopping`: waits (poll) for the wake, new clients, and bytes of clients that have no whole line yet.
 *
 *   a client   READING -- a whole line, its pause over, nothing under way --> ASKING -- socket_answer --> READING
 *              READING -- a line that is none --> answered with its error --> READING
 *              any -- hung up, line too long, does not take its answer, silent for long --> gone
 *
 * Shared with whoever answers, under `mutex`: `under_way`, `id`, the answer, `stopping`. All else is the thread's. */
#include "gateway/io/socket.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/check.h"
#include "base/text.h"
#include "base/thread.h"

struct client {
    int fd;     /* -1: free */
    bool asks;  /* its request is under way */
    bool ended; /* it will send nothing more */
    bool owner; /* of this machine, as far as the gateway goes */
    uint32_t uid;
    char bytes[SOCKET_LINE_SIZE];
    size_t length;
    int64_t next_us, idle_us; /* its next line not before; gone when silent until */
};

struct socket_server {
    struct socket_sink sink;
    struct sockaddr_un address;
    int listen_fd, wake_fd;
    pthread_t thread;
    struct client clients[SOCKET_CLIENTS_MAX];
    unsigned turn; /* who is looked at first */

    _Atomic int64_t turn_us; /* since when the thread has been at work; 0: it waits */
    pthread_mutex_t mutex;
    bool under_way, answered, stopping;
    uint32_t id;
    char answer[SOCKET_LINE_SIZE + 1];
};

static void client_close(struct client *client) {
    close(client->fd);
    *client = (struct client){.fd = -1};
}

/* Answers are short and asked for one at a time: a client whose buffer is full does not read them. */
static void client_say(struct client *client, const char *word, const char *line) {
    char bytes[SOCKET_LINE_SIZE + 8];
    int length = snprintf(bytes, sizeof(bytes), "%s%s\n", word, line);
    CHECK(length > 0 && (size_t)length < sizeof(bytes));
    client->asks = false;
    client->next_us = now_mono_us() + SOCKET_PAUSE_US;
    client->idle_us = now_mono_us() + SOCKET_IDLE_US;
    if (send(client->fd, bytes, (size_t)length, MSG_DONTWAIT | MSG_NOSIGNAL) != length)
        client_close(client);
}

static char *line_end(struct client *client) {
    return memchr(client->bytes, '\n', client->length);
}

static void client_identify(struct client *client) {
    struct ucred peer;
    socklen_t size = sizeof(peer);
    client->uid = UINT32_MAX;
    if (getsockopt(client->fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
        return;
    client->uid = peer.uid;
    client->owner = peer.uid == 0 || peer.uid == geteuid();
}

static void client_accept(struct socket_server *server) {
    struct client refused = {.fd = accept4(server->listen_fd, NULL, NULL, SOCK_CLOEXEC)}, *client = &refused;
    if (refused.fd < 0)
        return;
    for (unsigned i = 0; i < SOCKET_CLIENTS_MAX && client == &refused; i++)
        if (server->clients[i].fd < 0)
            client = &server->clients[i];
    if (client != &refused) {
        *client = (struct client){.fd = refused.fd, .idle_us = now_mono_us() + SOCKET_IDLE_US};
        client_identify(client);
        return;
    }
    client_say(client, "error ", "others are asking already; try again when they have finished");
    if (client->fd >= 0)
        client_close(client);
}

static void client_hear(struct client *client) {
    ssize_t length = recv(client->fd, client->bytes + client->length, sizeof(client->bytes) - client->length, MSG_DONTWAIT);
    if (length < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (length <= 0) {
        client->ended = true;
        return;
    }
    client->length += (size_t)length;
    if (!line_end(client) && client->length == sizeof(client->bytes)) {
        client_say(client, "error ", "expected a line of at most 4223 bytes");
        if (client->fd >= 0)
            client_close(client);
    }
}

/* Takes the client's first line; it has one. */
static void client_ask(struct socket_server *server, struct client *client) {
    struct socket_request request;
    const char *error;
    char line[SOCKET_LINE_SIZE];
    size_t length = (size_t)(line_end(client) - client->bytes);
    memcpy(line, client->bytes, length);
    line[length] = '\0';
    client->length -= length + 1;
    memmove(client->bytes, client->bytes + length + 1, client->length);
    if (strlen(line) != length || !socket_line_read(line, &request, &error)) {
        client_say(client, "error ", strlen(line) != length ? "expected text" : error);
        return;
    }
    pthread_mutex_lock(&server->mutex);
    request.uid = client->uid;
    request.owner = client->owner;
    request.guest.id = ++server->id;
    server->under_way = true;
    server->answered = false;
    pthread_mutex_unlock(&server->mutex);
    client->asks = true;
    server->sink.asked(server->sink.context, &request);
}

/* Hands an answer to its client, if it is still there. False: a request is under way. */
static bool answers_pass_on(struct socket_server *server) {
    char line[sizeof(server->answer)];
    pthread_mutex_lock(&server->mutex);
    bool answered = server->under_way && server->answered;
    if (answered) {
        (void)text_copy(line, sizeof(line), server->answer);
        server->under_way = false;
    }
    bool free_place = !server->under_way;
    pthread_mutex_unlock(&server->mutex);
    for (unsigned i = 0; i < SOCKET_CLIENTS_MAX && answered; i++)
        if (server->clients[i].fd >= 0 && server->clients[i].asks)
            client_say(&server->clients[i], "", line);
    return free_place;
}

static void clients_serve(struct socket_server *server) {
    bool free_place = answers_pass_on(server);
    int64_t now_us = now_mono_us();
    unsigned first = server->turn;
    for (unsigned i = 0; i < SOCKET_CLIENTS_MAX; i++) {
        unsigned index = (first + i) % SOCKET_CLIENTS_MAX;
        struct client *client = &server->clients[index];
        if (client->fd < 0 || client->asks)
            continue;
        if (!line_end(client)) {
            if (client->ended || now_us >= client->idle_us)
                client_close(client);
        } else if (free_place && now_us >= client->next_us) {
            client_ask(server, client);
            free_place = client->fd < 0 || !client->asks;
            server->turn = index + 1;
        }
    }
}

/* How long poll may wait. */
static int patience_ms(struct socket_server *server, bool free_place) {
    int64_t now_us = now_mono_us(), until_us = now_us + SOCKET_IDLE_US;
    for (unsigned i = 0; i < SOCKET_CLIENTS_MAX; i++) {
        struct client *client = &server->clients[i];
        if (client->fd < 0 || client->asks)
            continue;
        if (!line_end(client) && client->idle_us < until_us)
            until_us = client->idle_us;
        if (line_end(client) && free_place && client->next_us < until_us)
            until_us = client->next_us;
    }
    return until_us > now_us ? (int)((until_us - now_us + 999) / 1000) : 0;
}

static bool is_stopping(struct socket_server *server, bool *ret_free_place) {
    pthread_mutex_lock(&server->mutex);
    bool stopping = server->stopping;
    *ret_free_place = !server->under_way;
    pthread_mutex_unlock(&server->mutex);
    return stopping;
}

static void *run(void *context) {
    struct socket_server *server = context;
    bool free_place;
    while (!is_stopping(server, &free_place)) {
        struct pollfd fds[2 + SOCKET_CLIENTS_MAX] = {{.fd = server->wake_fd, .events = POLLIN}, {.fd = server->listen_fd, .events = POLLIN}};
        for (unsigned i = 0; i < SOCKET_CLIENTS_MAX; i++) {
            struct client *client = &server->clients[i];
            bool hears = client->fd >= 0 && !client->ended && !client->asks && !line_end(client);
            fds[2 + i] = (struct pollfd){.fd = client->fd, .events = hears ? POLLIN : 0};
        }
        atomic_store(&server->turn_us, 0);
        int ready = poll(fds, 2 + SOCKET_CLIENTS_MAX, patience_ms(server, free_place));
        atomic_store(&server->turn_us, now_mono_us());
        if (ready > 0) {
            eventfd_t count;
            if (fds[0].revents)
                (void)eventfd_read(server->wake_fd, &count);
            for (unsigned i = 0; i < SOCKET_CLIENTS_MAX; i++) {
                if (fds[2 + i].revents & POLLIN)
                    client_hear(&server->clients[i]);
                else if (fds[2 + i].revents)
                    client_close(&server->clients[i]);
            }
            if (fds[1].revents)
                client_accept(server);
        }
        clients_serve(server);
    }
    for (unsigned i = 0; i < SOCKET_CLIENTS_MAX; i++)
        if (server->clients[i].fd >= 0)
            client_close(&server->clients[i]);
    return NULL;
}

/* 0 or an errno. Of two gateways on one state folder the second never gets here: the store is locked. */
static int begin_listening(struct socket_server *server) {
    const struct sockaddr *address = (const struct sockaddr *)&server->address;
    server->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    server->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (server->wake_fd < 0 || server->listen_fd < 0)
        return errno;
    (void)unlink(server->address.sun_path);
    if (bind(server->listen_fd, address, sizeof(server->address)) != 0 || chmod(server->address.sun_path, 0660) != 0 ||
        listen(server->listen_fd, SOCKET_CLIENTS_MAX) != 0)
        return errno;
    return 0;
}

static void server_free(struct socket_server *server) {
    if (server->listen_fd >= 0)
        close(server->listen_fd);
    if (server->wake_fd >= 0)
        close(server->wake_fd);
    pthread_mutex_destroy(&server->mutex);
    free(server);
}

int socket_open(const char *state_dir, const struct socket_sink *sink, struct socket_server **ret_server) {
    struct socket_server *server = calloc(1, sizeof(*server));
    if (!server)
        return ENOMEM;
    server->sink = *sink;
    server->listen_fd = server->wake_fd = -1;
    server->address.sun_family = AF_UNIX;
    for (unsigned i = 0; i < SOCKET_CLIENTS_MAX; i++)
        server->clients[i].fd = -1;
    pthread_mutex_init(&server->mutex, NULL);
    int length = snprintf(server->address.sun_path, sizeof(server->address.sun_path), "%s/%s", state_dir, SOCKET_NAME);
    int os_error = length < (int)sizeof(server->address.sun_path) ? begin_listening(server) : ENAMETOOLONG;
    if (!os_error)
        os_error = thread_start(&server->thread, run, server, SOCKET_NAME) ? 0 : EAGAIN;
    if (os_error) {
        server_free(server);
        return os_error;
    }
    *ret_server = server;
    return 0;
}

void socket_close(struct socket_server *server) {
    if (!server)
        return;
    pthread_mutex_lock(&server->mutex);
    server->stopping = true;
    pthread_mutex_unlock(&server->mutex);
    (void)eventfd_write(server->wake_fd, 1);
    pthread_join(server->thread, NULL);
    (void)unlink(server->address.sun_path);
    server_free(server);
}

void socket_answer(struct socket_server *server, uint32_t id, const char *line) {
    pthread_mutex_lock(&server->mutex);
    if (server->under_way && server->id == id) {
        (void)text_copy(server->answer, sizeof(server->answer), line);
        server->answered = true;
    }
    pthread_mutex_unlock(&server->mutex);
    (void)eventfd_write(server->wake_fd, 1);
}

int64_t socket_busy_us(const struct socket_server *server) {
    int64_t turn_us = atomic_load(&server->turn_us);
    return turn_us ? now_mono_us() - turn_us : 0;
}
