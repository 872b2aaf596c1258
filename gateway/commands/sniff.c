/* SPDX-License-Identifier: Apache-2.0 */
/* yanhuo sniff PORT: listens to a foreign master and its devices, one line an exchange. It never sends a byte: this file only
 * calls bus_client_hear. Frames and pairs are found by commission/sniffer.c. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/check.h"
#include "gateway/commands/commands.h"
#include "gateway/commands/field.h"
#include "gateway/commission/sniffer.h"

#define ANSWER_COLUMN 56
#define WIDTH_MIN 80
#define WIDTH_MAX 4096
#define QUIET_US 5000000 /* nothing heard for so long is said once */

static const char *const usage_text = "usage: yanhuo sniff PORT [--baud B] [--parity P] [--for SECONDS]\n\n"
                                      "  PORT           a serial port, wired in parallel to the line\n"
                                      "  --baud B       9600 by default;  --parity none, even or odd: none by default\n"
                                      "  --for SECONDS  end after that time; without it Ctrl-C does\n\n"
                                      "Never sends anything. GAP is the silence before a request, AFTER the time until its answer.\n";

static size_t line_width(void) {
    struct winsize size;
    if (!isatty(STDOUT_FILENO))
        return WIDTH_MAX;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < WIDTH_MIN)
        return WIDTH_MIN;
    return size.ws_col;
}

static void add_ms(char *text, size_t size, int64_t us) {
    if (us < 0)
        (void)snprintf(text, size, "-");
    else if (us < 10000000)
        (void)snprintf(text, size, "%.1f ms", (double)us / 1000);
    else
        (void)snprintf(text, size, "%.0f s", (double)us / 1e6);
}

static void print_event(const struct sniffer_event *event, int64_t begun_us, size_t width) {
    char request_bytes[FIELD_TEXT_SIZE], answer_bytes[4 * FRAME_SIZE], gap[24], after[24], unit[8] = "";
    struct text request, answer;
    bool answered = event->kind == SNIFFER_ANSWERED || event->kind == SNIFFER_EXCEPTION;
    text_init(&request, request_bytes, sizeof(request_bytes));
    text_init(&answer, answer_bytes, sizeof(answer_bytes));
    sniffer_add_request(event, &request);
    sniffer_add_answer(event, width - ANSWER_COLUMN - 1, &answer);
    add_ms(gap, sizeof(gap), event->since_us);
    add_ms(after, sizeof(after), answered ? event->turnaround_us : -1);
    if (event->kind != SNIFFER_NOISE)
        (void)snprintf(unit, sizeof(unit), "%u", event->unit_id);
    (void)printf("%9.3f %9s %4s  %-27s%s%8s  %s\n", (double)(event->at_us - begun_us) / 1e6, gap, unit, request_bytes,
                 strlen(request_bytes) > 27 ? " " : "", answered ? after : "", answer_bytes);
    (void)fflush(stdout);
}

static void print_summary(const struct sniffer *sniffer, const struct field_port *port) {
    (void)printf("\n%llu requests: %llu answered, %llu exceptions, %llu without an answer, %llu answers damaged; %llu bytes in no frame\n",
                 (unsigned long long)sniffer->requests, (unsigned long long)sniffer->answers, (unsigned long long)sniffer->exceptions,
                 (unsigned long long)sniffer->unanswered, (unsigned long long)sniffer->damaged, (unsigned long long)sniffer->noise_bytes);
    if (sniffer->requests == 0 && sniffer->noise_bytes > 0)
        (void)printf("There is traffic, but no frame of it is right at %u baud: try --baud 4800, 19200 or 2400, and --parity even.\n",
                     (unsigned)port->spec.baud);
    else if (sniffer->requests == 0)
        (void)printf("Nothing was heard. Check: A and B, the ground, and that the other master is running.\n");
}

static int listen_on(struct field_port *port, int64_t for_us) {
    struct bus_client *client = field_open(port);
    struct sniffer *sniffer = malloc(sizeof(*sniffer));
    CHECK(sniffer);
    if (!client) {
        free(sniffer);
        return 1;
    }
    struct line_timing timing = bus_line_timing(&port->spec);
    int64_t pause_us = line_bytes_us(&timing, 20) + 20000, begun_us = now_mono_us(), heard_us = begun_us;
    size_t width = line_width();
    bool gone = false, told = false;
    sniffer_init(sniffer, &timing);
    (void)printf("%9s %9s %4s  %-27s%8s  %s\n", "TIME", "GAP", "UNIT", "REQUEST", "AFTER", "ANSWER");
    (void)fflush(stdout);
    field_catch_interrupt();
    while (!gone && !field_interrupted() && now_mono_us() - begun_us < for_us) {
        uint8_t bytes[FRAME_SIZE];
        struct sniffer_event event;
        ssize_t length = bus_client_hear(client, bytes, sizeof(bytes), now_mono_us() + pause_us);
        int64_t now_us = now_mono_us();
        gone = length < 0;
        if (length > 0) {
            heard_us = now_us;
            sniffer_feed(sniffer, bytes, (size_t)length, now_us);
        } else {
            sniffer_silence(sniffer, now_us);
        }
        while (sniffer_take(sniffer, &event))
            print_event(&event, begun_us, width);
        if (!told && now_us - heard_us > QUIET_US)
            (void)fprintf(stderr, "  (silence on the line for %d s)\n", QUIET_US / 1000000);
        told = now_us - heard_us > QUIET_US;
    }
    print_summary(sniffer, port);
    bus_client_close(client);
    int status = sniffer->requests > 0 ? 0 : 1;
    if (gone)
        (void)fprintf(stderr, "yanhuo sniff: the port is gone; was the adapter unplugged?\n");
    free(sniffer);
    return gone ? 1 : status;
}

int command_sniff(int argc, char **argv) {
    static const struct option names[] = {{"baud", required_argument, NULL, 'b'},
                                          {"parity", required_argument, NULL, 'y'},
                                          {"for", required_argument, NULL, 'f'},
                                          {"help", no_argument, NULL, 'h'},
                                          {NULL, 0, NULL, 0}};
    const char *bauds = NULL, *parities_text = NULL, *seconds_text = NULL;
    uint64_t baud = 9600, seconds = 0;
    enum bus_parity parities[3] = {PARITY_NONE};
    unsigned count;
    struct field_port port;
    optind = 1;
    for (int option; (option = getopt_long(argc, argv, "b:h", names, NULL)) != -1;) {
        if (option == 'b')
            bauds = optarg;
        else if (option == 'y')
            parities_text = optarg;
        else if (option == 'f')
            seconds_text = optarg;
        else {
            (void)fputs(usage_text, option == 'h' ? stdout : stderr);
            return option == 'h' ? 0 : 2;
        }
    }
    if (optind + 1 != argc) {
        (void)fputs(usage_text, stderr);
        return 2;
    }
    if (!field_port_read(&port, "sniff", argv[optind]) || (bauds && !field_number_read("sniff", "--baud", bauds, 300, 1000000, &baud)) ||
        (parities_text && !field_parities_read("sniff", parities_text, parities, &count)) ||
        (seconds_text && !field_number_read("sniff", "--for", seconds_text, 1, 864000, &seconds)))
        return 2;
    if (port.spec.kind != BUS_SERIAL) {
        (void)fprintf(stderr, "yanhuo sniff: '%s' is no serial line; on a network a packet capture shows the traffic (port 502)\n", argv[optind]);
        return 2;
    }
    port.spec.baud = (uint32_t)baud;
    port.spec.parity = parities[0];
    return listen_on(&port, seconds ? (int64_t)seconds * 1000000 : NOW_NEVER);
}
