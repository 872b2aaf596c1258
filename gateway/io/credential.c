/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/io/credential.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* The file, or -1 and errno. The name is looked up within the folder, not pasted to its path, so that no length is in the way. */
static int credential_open(const char *credentials_dir, const char *name) {
    int directory = open(credentials_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return -1;
    int file = openat(directory, name, O_RDONLY | O_CLOEXEC), error = errno;
    close(directory);
    errno = error;
    return file;
}

bool credential_read(const char *credentials_dir, const char *name, char buffer[CREDENTIAL_SIZE], size_t *ret_length, char *ret_why, size_t why_size) {
    if (!credentials_dir) {
        snprintf(ret_why, why_size, "credential %.60s cannot be read: no credentials folder given", name);
        return false;
    }
    int file = credential_open(credentials_dir, name);
    ssize_t length = file >= 0 ? read(file, buffer, CREDENTIAL_SIZE) : -1;
    int error = errno;
    if (file >= 0)
        close(file);
    if (length < 0 || length == CREDENTIAL_SIZE) {
        snprintf(ret_why, why_size, "credential %.60s cannot be read: %.40s", name, length < 0 ? strerrordesc_np(error) : "it is longer than 1023 bytes");
        return false;
    }
    while (length > 0 && (buffer[length - 1] == '\n' || buffer[length - 1] == '\r'))
        length--;
    buffer[length] = '\0';
    *ret_length = (size_t)length;
    return true;
}
