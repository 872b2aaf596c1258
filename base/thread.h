/* SPDX-License-Identifier: Apache-2.0 */
/* Threads beside the loop: signals belong to the loop, so that every other thread has them blocked, all but those of its own faults; its
 * name is what top and a debugger show (15 characters of it). */
#ifndef YANHUO_THREAD_H
#define YANHUO_THREAD_H

#include <pthread.h>
#include <stdbool.h>

/* False: there is none to be had. */
bool thread_start(pthread_t *ret_thread, void *(*run)(void *context), void *context, const char *name);

#endif
