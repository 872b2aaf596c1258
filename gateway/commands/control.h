/* SPDX-License-Identifier: Apache-2.0 */
/* The other end of the control socket (io/socket.h): what a person's command says to the running gateway. */
#ifndef YANHUO_CONTROL_H
#define YANHUO_CONTROL_H

#include "gateway/io/socket.h"

/* A descriptor, or -1 and errno. */
int control_connect(const char *state_dir);
/* One line there, with its end, and one back, without; both may be the same buffer. False: the gateway has gone, or Ctrl-C. */
bool control_exchange(int fd, const char *request, char answer[SOCKET_LINE_SIZE]);

#endif
