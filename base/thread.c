/* SPDX-License-Identifier: Apache-2.0 */
#include "base/thread.h"

#include <signal.h>

#include "base/text.h"

bool thread_start(pthread_t *ret_thread, void *(*run)(void *context), void *context, const char *name) {
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL}; /* a thread's own: blocked, they kill without a last word */
    sigset_t all, before;
    char kept[16];
    sigfillset(&all);
    for (unsigned i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
        sigdelset(&all, faults[i]);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    bool started = pthread_create(ret_thread, NULL, run, context) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)text_copy(kept, sizeof(kept), name);
    if (started)
        (void)pthread_setname_np(*ret_thread, kept);
    return started;
}
