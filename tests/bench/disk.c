/* SPDX-License-Identifier: Apache-2.0 */
/* A disk with a fault: preloaded into the gateway, it holds or refuses what would change something in the folder DISK_FOLDER for as long
 * as the symbolic link DISK_FAULT exists. The link's text names the fault, so that it comes and goes in one instant:
 *
 *   stall       nothing that writes comes back
 *   full        ENOSPC for whatever makes a file, or makes one longer; what is given back is taken by others at once
 *   read-only   EROFS, also for opening a file to write in it
 *   broken      EIO for every write, sync and new name; what is there can be opened and read
 *
 * Reading always works. Used by tests/bench/disk. */
#undef _FILE_OFFSET_BITS /* calls of both sizes are met, and must keep their own names */
#undef _TIME_BITS
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* NAME, the function behind ours. */
#define REAL(name) ((__typeof__(&(name)))dlsym(RTLD_NEXT, #name))

/* The fault's first letter, 0 when there is none. */
static char fault_now(const char *path) {
    const char *folder = getenv("DISK_FOLDER"), *order = getenv("DISK_FAULT");
    char name[16];
    if (!folder || !order || strncmp(path, folder, strlen(folder)) != 0)
        return 0;
    for (;;) {
        if (readlink(order, name, sizeof(name)) <= 0)
            return 0;
        if (name[0] != 's')
            return name[0];
        usleep(10000);
    }
}

/* What a call that changes the file or folder fails with, 0 when it may pass. */
static int refusal(const char *path, int grows) {
    switch (fault_now(path)) {
    case 'f':
        return grows ? ENOSPC : 0;
    case 'r':
        return EROFS;
    case 'b':
        return EIO;
    default:
        return 0;
    }
}

/* The same of an open file, which would have this size after the call; -1 when it keeps the one it has. */
static int refusal_of(int fd, off64_t size) {
    char link[64], path[4096];
    struct stat status;
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof(path) - 1);
    if (length <= 0 || path[0] != '/')
        return 0; /* a socket, or a pipe */
    path[length] = '\0';
    return refusal(path, fstat(fd, &status) == 0 && size > status.st_size);
}

static int failed(int error) {
    errno = error;
    return -1;
}

/* ---- what writes ---- */

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t offset) {
    int error = refusal_of(fd, offset + (off64_t)count);
    return error ? failed(error) : REAL(pwrite64)(fd, bytes, count, offset);
}

ssize_t pwrite(int fd, const void *bytes, size_t count, off_t offset) {
    int error = refusal_of(fd, offset + (off_t)count);
    return error ? failed(error) : REAL(pwrite)(fd, bytes, count, offset);
}

ssize_t write(int fd, const void *bytes, size_t count) {
    off_t at = lseek(fd, 0, SEEK_CUR);
    int error = at < 0 ? 0 : refusal_of(fd, at + (off_t)count);
    return error ? failed(error) : REAL(write)(fd, bytes, count);
}

int fsync(int fd) {
    int error = refusal_of(fd, -1);
    return error ? failed(error) : REAL(fsync)(fd);
}

int fdatasync(int fd) {
    int error = refusal_of(fd, -1);
    return error ? failed(error) : REAL(fdatasync)(fd);
}

int ftruncate64(int fd, off64_t size) {
    int error = refusal_of(fd, size);
    return error ? failed(error) : REAL(ftruncate64)(fd, size);
}

int ftruncate(int fd, off_t size) {
    int error = refusal_of(fd, size);
    return error ? failed(error) : REAL(ftruncate)(fd, size);
}

int posix_fallocate(int fd, off_t offset, off_t size) {
    int error = refusal_of(fd, offset + size);
    return error ? error : REAL(posix_fallocate)(fd, offset, size);
}

/* ---- names, and room ---- */

static int open_refusal(const char *path, int flags) {
    int makes = (flags & O_CREAT) && access(path, F_OK) != 0, writes = (flags & O_ACCMODE) != O_RDONLY;
    if (makes)
        return refusal(path, 1);
    return writes && fault_now(path) == 'r' ? EROFS : 0;
}

int open64(const char *path, int flags, ...) {
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(args, mode_t) : 0;
    va_end(args);
    int error = open_refusal(path, flags);
    return error ? failed(error) : REAL(open64)(path, flags, mode);
}

int open(const char *path, int flags, ...) {
    va_list args;
    va_start(args, flags);
    mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(args, mode_t) : 0;
    va_end(args);
    int error = open_refusal(path, flags);
    return error ? failed(error) : REAL(open)(path, flags, mode);
}

int unlink(const char *path) {
    int error = refusal(path, 0);
    return error ? failed(error) : REAL(unlink)(path);
}

int rename(const char *from, const char *to) {
    int error = refusal(to, 0);
    return error ? failed(error) : REAL(rename)(from, to);
}

int statvfs(const char *path, struct statvfs *ret_status) {
    int result = REAL(statvfs)(path, ret_status);
    if (result == 0 && fault_now(path) == 'f')
        ret_status->f_bavail = ret_status->f_bfree = 0;
    return result;
}
