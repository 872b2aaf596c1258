/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/commands/control.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWER_MS 60000 /* others may be asking too */

int control_connect(const char *state_dir) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int length = snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", state_dir, SOCKET_NAME);
    if (length >= (int)sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        int error = errno;
        close(fd);
        errno = error;
        fd = -1;
    }
    return fd;
}

bool control_exchange(int fd, const char *request, char answer[SOCKET_LINE_SIZE]) {
    size_t length = strlen(request), got = 0;
    if (send(fd, request, length, MSG_NOSIGNAL) != (ssize_t)length)
        return false;
    while (got == 0 || answer[got - 1] != '\n') {
        struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
        if (got == SOCKET_LINE_SIZE || poll(&poll_fd, 1, ANSWER_MS) <= 0)
            return false;
        ssize_t part = recv(fd, answer + got, SOCKET_LINE_SIZE - got, 0);
        if (part <= 0)
            return false;
        got += (size_t)part;
    }
    answer[got - 1] = '\0';
    return true;
}
