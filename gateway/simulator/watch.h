/* SPDX-License-Identifier: Apache-2.0 */
/* What an epoll event of the simulator is about, packed into its 64 bits of user data. Not pure. */
#ifndef YANHUO_WATCH_H
#define YANHUO_WATCH_H

#include <stdint.h>
#include <sys/epoll.h>

#include "base/err.h"

enum watch_kind { WATCH_INPUT, WATCH_SIGNAL, WATCH_TIMER, WATCH_LINE, WATCH_ENDPOINT, WATCH_CONNECTION };

static inline enum watch_kind watch_kind(const struct epoll_event *event) {
    return (enum watch_kind)(event->data.u64 >> 32);
}

static inline uint32_t watch_index(const struct epoll_event *event) {
    return (uint32_t)event->data.u64;
}

/* Watches `fd` for reading; it is forgotten when it is closed. ERR_IO with errno set. */
NODISCARD static inline enum err watch_add(int epoll_fd, int fd, enum watch_kind kind, uint32_t index) {
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = (uint64_t)kind << 32 | index};
    return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) == 0 ? ERR_OK : ERR_IO;
}

#endif
