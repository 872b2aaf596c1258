/* SPDX-License-Identifier: Apache-2.0 */
/* Every Modbus TCP endpoint of a configuration (and RTU over TCP), served from one epoll. Not pure: it belongs to the shell;
 * the caller owns the epoll and the clock. */
#ifndef YANHUO_TCP_SERVER_H
#define YANHUO_TCP_SERVER_H

#include "base/text.h"
#include "gateway/simulator/plant.h"

struct tcp_server;

/* `plant` and `listener` must outlive it; memory from the arena. Nothing listens yet. */
struct tcp_server *tcp_server_create(struct plant *plant, const struct plant_listener *listener, int epoll_fd, struct arena *arena);

/* Listens on the endpoint of a bus, or stops and closes its connections. What went wrong is added to `error`. */
NODISCARD enum err tcp_server_plug(struct tcp_server *server, uint16_t bus, struct text *error);
void tcp_server_unplug(struct tcp_server *server, uint16_t bus);

/* The events of WATCH_ENDPOINT and WATCH_CONNECTION with their index. */
void tcp_server_on_endpoint(struct tcp_server *server, uint32_t bus);
void tcp_server_on_connection(struct tcp_server *server, uint32_t connection, int64_t now_us);

/* When a delayed reply is due; NOW_NEVER when none is. */
int64_t tcp_server_next_wake(const struct tcp_server *server);
void tcp_server_on_time(struct tcp_server *server, int64_t now_us);

void tcp_server_close(struct tcp_server *server);

#endif
