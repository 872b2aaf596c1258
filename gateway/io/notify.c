/* SPDX-License-Identifier: Apache-2.0 */
/* The only file that includes systemd/sd-daemon.h. A manager that cannot be reached is no reason to stop: results are ignored. */
#include "gateway/io/notify.h"

#include <stdlib.h>
#include <systemd/sd-daemon.h>

void notify_ready(void) {
    (void)sd_notify(0, "READY=1");
}

void notify_status(const char *status) {
    (void)sd_notifyf(0, "STATUS=%s", status);
}

void notify_stopping(void) {
    (void)sd_notify(0, "STOPPING=1");
}

void notify_watchdog(void) {
    (void)sd_notify(0, "WATCHDOG=1");
}

bool notify_supervised(void) {
    return getenv("NOTIFY_SOCKET") != NULL;
}
