/*
 * Small packets on many links for bench/scale.ts.
 *
 * usage: spread BYTES PER_SECOND SECONDS < PAIRS
 * PAIRS has a line "FROM TO ADDRESS" for each link: names of two namespaces (ip-netns(8)), and the address of TO. Sends
 * datagrams with BYTES of payload over one link after the other, PER_SECOND of them, or with 0 as fast as it can;
 * prints how many, and the nanoseconds it took. What arrives is counted by nobody: sockets that nobody reads take it, lest the far end answers.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PORT 9000
#define MAX_LINKS 4096

static int senders[MAX_LINKS];
static char payload[65536];

static void
fail(const char *what)
{
	perror(what);
	exit(1);
}

static void
enter(const char *namespace)
{
	char path[300];
	snprintf(path, sizeof path, "/run/netns/%s", namespace);
	int fd = open(path, O_RDONLY);
	if (fd < 0 || setns(fd, CLONE_NEWNET) < 0)
		fail(path);
	close(fd);
}

static int
udp_socket(void)
{
	int s = socket(AF_INET, SOCK_DGRAM, 0);
	if (s < 0)
		fail("socket");
	return s;
}

static int
open_links(void)
{
	char from[256], to[256], address[64];
	int links = 0, small = 1;
	while (links < MAX_LINKS && scanf("%255s %255s %63s", from, to, address) == 3) {
		struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(PORT)};
		enter(to);
		int sink = udp_socket();
		setsockopt(sink, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
		if (bind(sink, (struct sockaddr *)&at, sizeof at) < 0)
			fail("bind");
		enter(from);
		senders[links] = udp_socket();
		inet_pton(AF_INET, address, &at.sin_addr);
		if (connect(senders[links++], (struct sockaddr *)&at, sizeof at) < 0)
			fail(address);
	}
	return links;
}

static int64_t
now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void
sleep_until(int64_t ns)
{
	struct timespec t = {ns / 1000000000LL, ns % 1000000000LL};
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

int
main(int argc, char **argv)
{
	if (argc != 4) {
		fprintf(stderr, "usage: spread BYTES PER_SECOND SECONDS < PAIRS\n");
		return 2;
	}
	int links = open_links();
	double per_second = atof(argv[2]);
	int64_t start = now_ns(), end = start + (int64_t)(atof(argv[3]) * 1e9), sent = 0;
	while (links > 0 && now_ns() < end) {
		if (per_second > 0)
			sleep_until(start + (int64_t)(sent / per_second * 1e9));
		send(senders[sent++ % links], payload, atoi(argv[1]), 0);
	}
	printf("%lld %lld\n", (long long)sent, (long long)(now_ns() - start));
	return 0;
}
