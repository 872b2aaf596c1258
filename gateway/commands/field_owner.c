/* SPDX-License-Identifier: Apache-2.0 */
/* Who has a port open: first whose lock the kernel lists for it, then whose open files name it (of those we may look at). */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "gateway/commands/field.h"

#define PATH_SIZE 320

static bool name_of(unsigned long process, char *ret_name, size_t size, bool *ret_gateway) {
    char path[64], comm[64] = "";
    (void)snprintf(path, sizeof(path), "/proc/%lu/comm", process);
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    bool read = fgets(comm, sizeof(comm), file) != NULL;
    (void)fclose(file);
    if (!read)
        return false;
    comm[strcspn(comm, "\n")] = '\0';
    *ret_gateway = strcmp(comm, "yanhuo") == 0;
    (void)snprintf(ret_name, size, "%s (process %lu)", comm, process);
    return true;
}

/* "3: FLOCK  ADVISORY  WRITE 812 00:06:1234 0 EOF" */
static unsigned long lock_holder(const struct stat *about) {
    FILE *file = fopen("/proc/locks", "re");
    char line[256];
    unsigned long found = 0;
    while (file && !found && fgets(line, sizeof(line), file)) {
        unsigned long process, inode;
        unsigned most, least;
        if (sscanf(line, "%*s FLOCK %*s %*s %lu %x:%x:%lu", &process, &most, &least, &inode) == 4 && inode == about->st_ino &&
            most == major(about->st_dev) && least == minor(about->st_dev))
            found = process;
    }
    if (file)
        (void)fclose(file);
    return found;
}

static bool has_open(unsigned long process, const struct stat *about) {
    char folder[64], path[PATH_SIZE];
    bool found = false;
    (void)snprintf(folder, sizeof(folder), "/proc/%lu/fd", process);
    DIR *directory = opendir(folder);
    for (struct dirent *entry; directory && !found && (entry = readdir(directory));) {
        struct stat other;
        (void)snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
        found = stat(path, &other) == 0 && S_ISCHR(other.st_mode) && other.st_rdev == about->st_rdev;
    }
    if (directory)
        (void)closedir(directory);
    return found;
}

bool field_owner(const char *path, char *ret_name, size_t size, bool *ret_gateway) {
    struct stat about;
    if (stat(path, &about) != 0)
        return false;
    unsigned long process = lock_holder(&about);
    if (process)
        return name_of(process, ret_name, size, ret_gateway);
    DIR *directory = opendir("/proc");
    for (struct dirent *entry; directory && !process && (entry = readdir(directory));) {
        char *end;
        unsigned long candidate = strtoul(entry->d_name, &end, 10);
        if (*end == '\0' && candidate != (unsigned long)getpid() && has_open(candidate, &about))
            process = candidate;
    }
    if (directory)
        (void)closedir(directory);
    return process && name_of(process, ret_name, size, ret_gateway);
}
