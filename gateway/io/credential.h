/* SPDX-License-Identifier: Apache-2.0 */
/* A secret as the service manager hands it over: a file of that name in the credentials folder. A password and a key are read here
 * and nowhere else. */
#ifndef YANHUO_CREDENTIAL_H
#define YANHUO_CREDENTIAL_H

#include <stdbool.h>
#include <stddef.h>

#define CREDENTIAL_SIZE 1024 /* with its end mark: a key of 512 bytes in hexadecimal is longer than anybody's */

/* The file's bytes without the line ends behind them, and an end mark. `credentials_dir` NULL: there is no such folder. False:
 * ret_why is a sentence for a person. The caller wipes the buffer when it needs the secret no more. */
bool credential_read(const char *credentials_dir, const char *name, char buffer[CREDENTIAL_SIZE], size_t *ret_length, char *ret_why, size_t why_size);

#endif
