/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/io/store_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/text.h"

#define QUARANTINE_TRIES 1000 /* files put aside within one second, under one name each */

enum err files_path(const char *dir, const char *name, char ret_path[STORE_PATH_SIZE]) {
    int length = snprintf(ret_path, STORE_PATH_SIZE, "%s/%s", dir, name);
    return length < 0 || length > STORE_PATH_SIZE - 64 ? ERR_RANGE : ERR_OK; /* room for the suffixes */
}

static long owner_read(int fd) {
    char digits[24] = "";
    ssize_t length = pread(fd, digits, sizeof(digits) - 1, 0);
    uint64_t owner = 0;
    if (length <= 0)
        return 0;
    digits[strcspn(digits, "\n")] = '\0';
    return text_read_u64(digits, &owner) ? (long)owner : 0;
}

enum err files_lock(const char *dir, int *ret_fd, long *ret_owner, int *ret_os_error) {
    char path[STORE_PATH_SIZE];
    *ret_owner = 0;
    *ret_os_error = ENAMETOOLONG;
    if (files_path(dir, "lock", path) != ERR_OK)
        return ERR_IO;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0640);
    *ret_os_error = errno;
    if (fd < 0)
        return ERR_IO;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        *ret_os_error = errno;
        *ret_owner = owner_read(fd);
        close(fd);
        return *ret_os_error == EWOULDBLOCK ? ERR_BUSY : ERR_IO;
    }
    char line[24];
    int length = snprintf(line, sizeof(line), "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) < 0 || pwrite(fd, line, (size_t)length, 0) != length) { /* a full disk: the lock itself still holds */
    }
    *ret_fd = fd;
    *ret_os_error = 0;
    return ERR_OK;
}

enum err files_quarantine(const char *path, int64_t wall_ms, char ret_path[STORE_PATH_SIZE]) {
    static const char *const suffixes[] = {"-wal", "-shm"};
    char from[STORE_PATH_SIZE + 8], to[STORE_PATH_SIZE + 8];
    for (unsigned i = 0;; i++) {
        int length = snprintf(ret_path, STORE_PATH_SIZE, "%s.corrupt-%lld", path, (long long)(wall_ms / 1000));
        if (i)
            snprintf(ret_path + length, STORE_PATH_SIZE - (size_t)length, "-%u", i);
        if (access(ret_path, F_OK) < 0 && errno == ENOENT)
            break;
        if (i == QUARANTINE_TRIES)
            return ERR_IO;
    }
    /* The log first: once the file itself is gone, the next start begins a new one and would replay a log left behind. */
    for (unsigned i = 0; i < 2; i++) {
        snprintf(from, sizeof(from), "%s%s", path, suffixes[i]);
        snprintf(to, sizeof(to), "%s%s", ret_path, suffixes[i]);
        if (rename(from, to) < 0 && errno != ENOENT)
            return ERR_IO;
    }
    return rename(path, ret_path) < 0 ? ERR_IO : ERR_OK;
}

void files_sync_folder(const char *dir) {
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
}

int64_t files_room(const char *dir) {
    struct statvfs status;
    if (statvfs(dir, &status) != 0)
        return -1;
    return (int64_t)status.f_bavail * (int64_t)status.f_frsize;
}

bool files_make_ballast(const char *dir) {
    char path[STORE_PATH_SIZE];
    struct stat status;
    if (files_path(dir, BALLAST_NAME, path) != ERR_OK)
        return false;
    if (stat(path, &status) == 0 && status.st_size == (off_t)BALLAST_SIZE)
        return true;
    if (files_room(dir) < 4 * (int64_t)BALLAST_SIZE)
        return false;
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0640);
    bool made = fd >= 0 && posix_fallocate(fd, 0, BALLAST_SIZE) == 0;
    if (fd >= 0)
        close(fd);
    if (!made)
        unlink(path);
    return made;
}

bool files_give_ballast(const char *dir) {
    char path[STORE_PATH_SIZE];
    return files_path(dir, BALLAST_NAME, path) == ERR_OK && unlink(path) == 0;
}

/* The number behind the name, as "write_bytes: 4096"; -1 when there is none. */
static int64_t io_number(const char *text, const char *name) {
    char digits[24];
    uint64_t number;
    const char *at = strstr(text, name);
    if (!at)
        return -1;
    at += strlen(name);
    size_t length = strspn(at, "0123456789");
    if (length >= sizeof(digits))
        return -1;
    memcpy(digits, at, length);
    digits[length] = '\0';
    return text_read_u64(digits, &number) && number <= INT64_MAX ? (int64_t)number : -1;
}

int64_t files_device_bytes(void) {
    char text[512];
    int fd = open("/proc/self/io", O_RDONLY | O_CLOEXEC);
    ssize_t length = fd >= 0 ? read(fd, text, sizeof(text) - 1) : -1;
    if (fd >= 0)
        close(fd);
    if (length <= 0)
        return -1;
    text[length] = '\0';
    int64_t cancelled = io_number(text, "cancelled_write_bytes: "), written = io_number(text, "\nwrite_bytes: ");
    if (written < 0 || cancelled < 0)
        return -1;
    return written > cancelled ? written - cancelled : 0;
}
