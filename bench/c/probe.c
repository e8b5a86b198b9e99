/*
 * Datagrams at a steady pace, each with its number and the time it was sent, for bench/accuracy.ts.
 *
 * usage: probe send ADDRESS BYTES PER_SECOND COUNT   sends WARM_UP + COUNT datagrams with BYTES of payload, paced by
 *                                                    absolute deadlines
 *        probe receive SECONDS                       receives on port 9001 until 0.3 s pass without a datagram, at
 *                                                    most SECONDS; then prints a line for each in order of arrival,
 *                                                    "NUMBER DELAY_NS ARRIVED_NS INTACT", but not those of the warm-up;
 *                                                    ARRIVED_NS counts from the first arrival
 *
 * Both ends are on one machine: times are of the one CLOCK_REALTIME, the arrival as the kernel stamps it when the frame
 * comes out of the device (SO_TIMESTAMPNS), so that the receiver's own wake-up is not in it. The payload is
 * {number, sent} over and over, sent without a checksum so that what was corrupted on the way is seen here.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

#define PORT 9001
/* Addresses are resolved and caches warm after these. */
#define WARM_UP 50
#define LARGEST 65536
#define SECOND 1000000000LL

struct mark {
	int64_t number, sent;
};
struct record {
	struct mark mark;
	int64_t arrived;
	int intact;
};

static struct mark payload[LARGEST / sizeof(struct mark)];

static int64_t
now_ns(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return t.tv_sec * SECOND + t.tv_nsec;
}

static int
send_all(const char *address, size_t bytes, double per_second, int64_t count)
{
	int s = socket(AF_INET, SOCK_DGRAM, 0), one = 1;
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	inet_pton(AF_INET, address, &to.sin_addr);
	setsockopt(s, SOL_SOCKET, SO_NO_CHECK, &one, sizeof one);
	if (connect(s, (struct sockaddr *)&to, sizeof to) < 0)
		return perror("connect"), 1;
	prctl(PR_SET_TIMERSLACK, 1);
	size_t marks = bytes / sizeof payload[0];
	int64_t start = now_ns(CLOCK_MONOTONIC);
	for (int64_t i = 0; i < WARM_UP + count; i++) {
		int64_t due = start + (int64_t)(i * (SECOND / per_second));
		struct timespec t = {due / SECOND, due % SECOND};
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
		payload[0] = (struct mark){i - WARM_UP, now_ns(CLOCK_REALTIME)};
		for (size_t m = 1; m < marks; m++)
			payload[m] = payload[0];
		/* A full queue is the link's business: what is not sent counts as lost. */
		send(s, payload, marks * sizeof payload[0], 0);
	}
	return 0;
}

static int64_t
stamp_of(struct msghdr *message)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c))
		if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_TIMESTAMPNS) {
			struct timespec t;
			memcpy(&t, CMSG_DATA(c), sizeof t);
			return t.tv_sec * SECOND + t.tv_nsec;
		}
	return now_ns(CLOCK_REALTIME);
}

static int
is_intact(size_t bytes)
{
	for (size_t m = 1; m < bytes / sizeof payload[0]; m++)
		if (memcmp(&payload[m], &payload[0], sizeof payload[0]) != 0)
			return 0;
	return 1;
}

static int
receive_all(double seconds)
{
	int s = socket(AF_INET, SOCK_DGRAM, 0), size = 32 << 20, one = 1;
	struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	struct timeval patience = {0, 300000};
	size_t count = 0, room = 0;
	struct record *records = NULL;
	setsockopt(s, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size);
	setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	setsockopt(s, SOL_SOCKET, SO_TIMESTAMPNS, &one, sizeof one);
	if (bind(s, (struct sockaddr *)&own, sizeof own) < 0)
		return perror("bind"), 1;
	puts("ready");
	fflush(stdout);
	int64_t end = now_ns(CLOCK_MONOTONIC) + (int64_t)(seconds * SECOND);
	for (int has_begun = 0; now_ns(CLOCK_MONOTONIC) < end;) {
		char control[64];
		struct iovec iov = {payload, sizeof payload};
		struct msghdr message = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control,
		    .msg_controllen = sizeof control};
		ssize_t bytes = recvmsg(s, &message, 0);
		if (bytes < 0 && has_begun)
			break;
		if (bytes < (ssize_t)sizeof payload[0])
			continue;
		has_begun = 1;
		if (count == room && !(records = realloc(records, (room = 2 * room + 4096) * sizeof *records)))
			return perror("realloc"), 1;
		records[count++] = (struct record){payload[0], stamp_of(&message), is_intact(bytes)};
	}
	for (struct record *r = records; r < records + count; r++)
		if (r->mark.number >= 0 || !r->intact)
			printf("%lld %lld %lld %d\n", (long long)r->mark.number,
			    (long long)(r->arrived - r->mark.sent), (long long)(r->arrived - records->arrived), r->intact);
	return 0;
}

int
main(int argc, char **argv)
{
	if (argc == 6 && strcmp(argv[1], "send") == 0)
		return send_all(argv[2], strtoul(argv[3], NULL, 10), atof(argv[4]), atoll(argv[5]));
	if (argc == 3 && strcmp(argv[1], "receive") == 0)
		return receive_all(atof(argv[2]));
	fprintf(stderr, "usage: probe send ADDRESS BYTES PER_SECOND COUNT | probe receive SECONDS\n");
	return 2;
}
