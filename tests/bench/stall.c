/* SPDX-License-Identifier: Apache-2.0 */
/* Preloaded into the gateway by the bench: four times a second its main thread, on which the loop runs, does nothing for 60 ms
 * before it waits again. Other threads are not touched. */
#include <dlfcn.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define EVERY_US 250000
#define STALL_US 60000

static int64_t now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void stall(void) {
    static int64_t next_us;
    if (gettid() != getpid() || now_us() < next_us)
        return;
    struct timespec pause = {.tv_nsec = STALL_US * 1000};
    next_us = now_us() + EVERY_US;
    nanosleep(&pause, NULL);
}

int epoll_pwait(int fd, struct epoll_event *events, int count, int timeout_ms, const sigset_t *mask) {
    static int (*real)(int, struct epoll_event *, int, int, const sigset_t *);
    if (!real)
        real = (int (*)(int, struct epoll_event *, int, int, const sigset_t *))dlsym(RTLD_NEXT, "epoll_pwait");
    stall();
    if (gettid() == getpid() && (timeout_ms < 0 || timeout_ms > EVERY_US / 1000))
        timeout_ms = EVERY_US / 1000; /* an idle loop is stalled as often */
    return real(fd, events, count, timeout_ms, mask);
}

int epoll_wait(int fd, struct epoll_event *events, int count, int timeout_ms) {
    return epoll_pwait(fd, events, count, timeout_ms, NULL);
}
