/* SPDX-License-Identifier: Apache-2.0 */
/* What the service manager is told. Without one every call does nothing. Loop thread. */
#ifndef YANHUO_NOTIFY_H
#define YANHUO_NOTIFY_H

#include <stdbool.h>

void notify_ready(void);
void notify_status(const char *status);
void notify_stopping(void);
void notify_watchdog(void);
bool notify_supervised(void); /* somebody starts the process again when it ends */

#endif
