/* SPDX-License-Identifier: Apache-2.0 */
/* A disk that does not answer: preloaded into the gateway, it holds every write and sync of a database file for as long as the file
 * named by STALL_FILE exists. Used by tests/bench/alarm. */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int is_database(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof(path) - 1);
    if (length <= 0)
        return 0;
    path[length] = '\0';
    return strstr(path, ".db") != NULL;
}

static void hold(int fd) {
    const char *file = getenv("STALL_FILE");
    while (file && access(file, F_OK) == 0 && is_database(fd))
        usleep(10000);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset) {
    ssize_t (*real)(int, const void *, size_t, off64_t) = (ssize_t(*)(int, const void *, size_t, off64_t))dlsym(RTLD_NEXT, "pwrite64");
    hold(fd);
    return real(fd, bytes, count, offset);
}

int fsync(int fd) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fsync");
    hold(fd);
    return real(fd);
}

int fdatasync(int fd) {
    int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "fdatasync");
    hold(fd);
    return real(fd);
}
